"""What an installation can do without extras, and what each extra adds: nothing is there that it did not ask for."""

import json
import os
import subprocess
import sysconfig
import venv
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from agent_tasks import AgentTasks
from tests.documents import ROOT
from tests.processes import Processes

SITE = Path(sysconfig.get_path("purelib"))
Environment = Callable[..., Path]


def needed(name: str, extras: tuple[str, ...], found: dict[str, set[str]]) -> dict[str, set[str]]:
    """All distributions that `name[extras]` brings, with the extras asked of each."""
    asked = found.setdefault(name, set())
    new = ({"", *extras} if not asked else set(extras)) - asked
    asked |= new
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if "" in new if marker is None else any(marker.evaluate({"extra": extra}) for extra in new):
            needed(requirement.name.lower(), tuple(requirement.extras), found)
    return found


def belongings(of: Distribution) -> Iterator[Path]:
    """The files and folders of a distribution that lie directly in site-packages."""
    for name in {path.parts[0] for path in of.files or ()} - {"..", "__pycache__"}:
        yield SITE / name


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Makes an environment of `agent-tasks[extras]`, out of what is installed here; returns its Python."""

    def make(*extras: str) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        venv.create(folder, symlinks=True)
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
        for name in needed("agent-tasks", extras, {}):
            for path in belongings(distribution(name)):
                if not (packages / path.name).exists():
                    (packages / path.name).symlink_to(path)
        for path in packages.glob("*agent_tasks*.pth"):
            path.unlink()  # it would bring the checkout's other folders
        (packages / "agent_tasks").symlink_to(ROOT / "agent_tasks")
        return folder / "bin" / "python"

    return make


def run(*argv: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AGENT_TASKS_", "PYTHON"))}
    return subprocess.run(argv, env=kept | environment, cwd="/", capture_output=True, text=True, timeout=60)


def imported(python: Path, *modules: str) -> dict[str, str]:
    """What each of these modules misses, if anything."""
    code = """
import importlib, json, sys
missed = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missed[name] = error.name
print(json.dumps(missed))
"""
    ended = run(python, "-c", code, *modules)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_without_extras_a_program_submits_and_a_worker_runs_what_it_submitted(
    environment: Environment, client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    python = environment()
    (tmp_path / "own_agents.py").write_text(
        "from agent_tasks import Context, agent\n\n\n"
        "@agent('from-the-base')\nasync def greet(ctx: Context, name: str) -> str:\n    return f'Hello {name}'\n"
    )
    variables = {**processes.environment(agents=("own_agents",)), "PYTHONPATH": str(tmp_path)}
    options = ["-P", "threads", "-n", "worker@test", "--without-mingle", "--loglevel", "INFO"]
    command = [str(python), "-m", "celery", "-A", "agent_tasks.engine", "worker", *options]
    worker = processes.start("worker", command, variables)
    processes.wait_until_ready(worker)
    program = "from agent_tasks import submit; print(submit('from-the-base', {'name': 'Ada'}).result(timeout=30))"
    ended = run(python, "-c", program, **variables)
    assert ended.stdout == "Hello Ada\n", ended.stderr


def test_without_extras_everything_of_a_program_a_worker_and_the_sweeps_imports(environment: Environment) -> None:
    modules = ("agent_tasks", "agent_tasks.aio", "agent_tasks.agentcore", "agent_tasks.store.migrations")
    processes = ("agent_tasks.engine.process.application", "agent_tasks.sweeps.application")
    assert imported(environment(), *modules, *processes) == {}


def test_without_its_extra_the_command_says_in_one_line_what_to_install(environment: Environment) -> None:
    ended = run(environment(), "-m", "agent_tasks.cli", "submit", "hello")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "The command line is not installed: pip install 'agent-tasks[cli]'.\n"


CLI, HTTP, DEV = "agent_tasks.cli.application", "agent_tasks.gateway.server", "agent_tasks.embedded"
DELIVERER, KIT = "agent_tasks.webhooks.process", "agent_tasks.testing.bench"
A2A = "agent_tasks.gateway.a2a.protocol"
RESEARCH = ("bs4", "bm25s", "Stemmer", "pypdf")
LIBRARIES = (
    *("flower", "django", "fastapi", "agents", "genai_prices", "langgraph", "pydantic_ai"), *RESEARCH,
)  # fmt: skip
BROUGHT: dict[str, set[str]] = {
    "cli": {CLI},
    "flower": {CLI, "flower"},
    "django": {CLI, "django"},
    "fastapi": {"fastapi"},
    "http": {CLI, HTTP, DELIVERER, "fastapi"},
    "a2a": {CLI, HTTP, DELIVERER, "fastapi", A2A},
    "mcp": {CLI, HTTP, DELIVERER, "fastapi"},
    "research": set(RESEARCH),
    "llm": {*RESEARCH, "pydantic_ai", "genai_prices"},
    "langgraph": {"langgraph", "genai_prices"},
    "openai-agents": {"agents", "genai_prices"},
    "otel": set(),  # its modules lie in one folder with those of the interface alone, which others bring
    "prices": {"genai_prices"},
    "pydantic-ai": {"pydantic_ai", "genai_prices"},
    "test": {CLI, DEV, KIT},
    "dev": {CLI, HTTP, DELIVERER, DEV, *RESEARCH, "flower", "fastapi"},
}
"""Of our programs and of the libraries, what can be imported with each extra."""
OF_NEW_LIBRARIES = {"langgraph", "llm", "openai-agents", "prices", "pydantic-ai"}
"""Those that `make test-oldest` is without."""
USUAL = {"cli", "http", "test"}


def is_installed(extra: str) -> bool:
    """Whether what an extra brings is here, from where its environment is made."""
    if extra in ("a2a", "mcp"):
        return find_spec(extra) is not None
    return extra not in OF_NEW_LIBRARIES or find_spec("pydantic_ai") is not None


def test_each_extra_brings_the_libraries_that_it_is_for_and_no_others() -> None:
    assert set(distribution("agent-tasks").metadata.get_all("Provides-Extra") or ()) == set(BROUGHT)
    for extra, brought in BROUGHT.items():
        if is_installed(extra):
            found = [distribution(name) for name in needed("agent-tasks", (extra,), {})]
            modules = {path.name.partition(".")[0] for each in found for path in belongings(each)}
            assert modules & {*LIBRARIES} == brought & {*LIBRARIES}, extra


@pytest.mark.parametrize(
    "extra", [pytest.param(extra, marks=[] if extra in USUAL else pytest.mark.slow) for extra in BROUGHT]
)
def test_each_extra_brings_what_its_programs_import_and_no_more(environment: Environment, extra: str) -> None:
    if not is_installed(extra):
        pytest.skip("what it brings is not installed")
    parts = (CLI, HTTP, DELIVERER, DEV, KIT, A2A, *LIBRARIES)
    assert set(parts) - set(imported(environment(extra), *parts)) == BROUGHT[extra]


@pytest.mark.parametrize(
    ("command", "extra"),
    [("dev", "dev"), ("demo", "dev"), ("gateway", "http"), ("deliverer", "http"), ("flower", "flower")],
)
def test_a_command_without_its_extra_says_what_to_install(
    environment: Environment, processes: Processes, command: str, extra: str
) -> None:
    variables = {k: v for k, v in processes.environment().items() if k.startswith("AGENT_TASKS_")}
    ended = run(environment("cli"), "-m", "agent_tasks.cli", command, **variables)
    assert ended.returncode == 2
    assert f"pip install 'agent-tasks[{extra}]'" in ended.stderr
