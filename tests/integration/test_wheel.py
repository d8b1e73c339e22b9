"""The wheel, installed into an empty environment beside a project with folders and tables that are named like ours."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import psycopg
import pytest

from tests.documents import ROOT, blocks
from tests.eventually import eventually
from tests.processes import Processes

THEIRS = ("workers", "beat", "tasks", "events", "agents", "checkpoints")
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by what `pip wheel .` calls, from a copy, as building writes into the folder that it builds from."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    left_out = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, source, ignore=left_out, dirs_exist_ok=True)
    subprocess.run([sys.executable, "-c", BUILD, str(built)], cwd=source, check=True, capture_output=True)
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment in which the wheel is all that is installed.

    Its dependencies are those of the running environment, of which it sees the packages but not the .pth files, and so
    not this checkout.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the README's `hello.py` and packages that nobody but their owner may import."""
    for name in THEIRS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('the decoy {name} was imported')")
    (code,) = blocks("README.md", "python")
    (tmp_path / "hello.py").write_text(code)
    return tmp_path


@pytest.fixture
def shell(installed: Path) -> Iterator[dict[str, str]]:
    """The environment of a new shell of somebody who has never run anything of ours."""
    ours = ("AGENT_TASKS_", "CELERY_", "PYTHON")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours) and k not in ("DATABASE_URL", "REDIS_URL")}
    with tempfile.TemporaryDirectory(prefix="at-") as data:
        yield {**kept, "PATH": f"{installed}:{os.environ['PATH']}", "XDG_DATA_HOME": data, "PYTHONUNBUFFERED": "1"}


def run(command: str, folder: Path, shell: dict[str, str]) -> str:
    """What a command of the README prints."""
    ended = subprocess.run(command, shell=True, cwd=folder, env=shell, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@contextmanager
def started(command: str, folder: Path, shell: dict[str, str]) -> Iterator[Path]:
    """`command` while it runs and says that it is ready; gives its log. It ends at Ctrl-C."""
    path = folder / "started.log"
    with path.open("wb") as log:
        popen = subprocess.Popen(
            f"exec env {command}", shell=True, cwd=folder, env=shell, stdout=log, stderr=log, start_new_session=True
        )
    try:
        eventually(lambda: "\nReady." in path.read_text() or popen.poll() is not None, 45)
        assert popen.poll() is None
        yield path
        popen.send_signal(signal.SIGINT)
        assert popen.wait(30) == 0
    except BaseException:
        print(path.read_text()[-6000:])
        raise
    finally:
        popen.kill()
        popen.wait()


def test_all_that_the_wheel_brings_lies_below_agent_tasks_but_the_plugin_of_pytest(wheel: Path) -> None:
    with ZipFile(wheel) as file:
        names = file.namelist()
    found = {re.sub(r"-.*\.dist-info", ".dist-info", name.partition("/")[0]) for name in names}
    assert found == {"agent_tasks", "agent_tasks.dist-info", "pytest_agent_tasks.py"}
    in_checkout = {str(path.relative_to(ROOT)) for path in (ROOT / "agent_tasks").rglob("*.py")}
    in_checkout |= {str(path.relative_to(ROOT)) for path in (ROOT / "agent_tasks/gateway/templates").iterdir()}
    assert in_checkout | {"agent_tasks/py.typed"} <= set(names)


def test_the_wheel_is_imported_beside_folders_that_are_named_like_ours(
    wheel: Path, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = tmp_path_factory.mktemp("site")
    with ZipFile(wheel) as file:
        file.extractall(site)
    code = (
        "import hello, agent_tasks.engine, agent_tasks.sweeps, agent_tasks.gateway.server; print(agent_tasks.__file__)"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AGENT_TASKS_", "CELERY_", "PYTHON"))}
    shown = run(f'{sys.executable} -c "{code}"', project, {**kept, "PYTHONPATH": str(site)})
    assert shown.startswith(str(site))


def make_their_tables(log: str) -> str:
    """Tables of theirs in the database that `dev` told of; returns its URL."""
    (url,) = re.findall(r"^  Postgres +(\S+)$", log, flags=re.MULTILINE)
    with psycopg.connect(url) as connection:
        for name in THEIRS:
            connection.execute(f"CREATE TABLE {name} (theirs text)".encode())
            connection.execute(f"INSERT INTO {name} VALUES ('kept')".encode())
    return url


def their_rows(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [str(row) for name in THEIRS for row in connection.execute(f"SELECT * FROM {name}".encode())]


@pytest.mark.slow
def test_the_readmes_lines_run_from_the_wheel_in_a_project_with_colliding_folders_and_tables(
    installed: Path, project: Path, shell: dict[str, str]
) -> None:
    where = run("python -c 'import agent_tasks; print(agent_tasks.__file__)'", project, shell)
    assert where.startswith(str(installed.parent))
    start, others = (block.replace("$ ", "").splitlines() for block in blocks("README.md", "console")[:2])
    with started(*start, project, shell) as log:
        url = make_their_tables(log.read_text())
        program, submitted, doctor = (run(command, project, shell) for command in others)
        assert re.fullmatch(r"(\S+) Hello Ada, signed by task \1\n", program)
        assert re.fullmatch(r"(\S+)\nHello Bob, signed by task \1\n", submitted)
        assert "worker@" in doctor
        assert their_rows(url) == ["('kept',)"] * len(THEIRS)
    assert "decoy" not in log.read_text()


OLDEST = ("celery==5.4.0", "redis==5.0.0", "SQLAlchemy==2.0.0", "pydantic==2.7.0", "psycopg==3.2.1")


@pytest.mark.slow
def test_it_installs_and_runs_in_an_environment_pinned_to_the_oldest_versions(
    wheel: Path, processes: Processes, tmp_path: Path
) -> None:
    """Without extras: what a program that submits and its worker need. It asks the package index that pip asks."""
    venv.create(tmp_path / "pinned", symlinks=True)
    python = tmp_path / "pinned/bin/python"
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--system-certs", "--no-build", "--python", python]
    subprocess.run([*uv, *OLDEST], check=True)
    subprocess.run([*uv, wheel, *OLDEST], check=True)
    (tmp_path / "hello.py").write_text(blocks("README.md", "python")[0])
    pythonpath = {"PYTHONPATH": str(tmp_path)}
    options = ["-P", "threads", "-n", "worker@test", "--loglevel", "INFO"]
    command = [str(python), "-m", "celery", "-A", "agent_tasks.engine", "worker", *options]
    worker = processes.start("worker", command, processes.environment(agents=("hello",)) | pythonpath)
    processes.wait_until_ready(worker)
    assert "v5.4.0" in worker.output
    program = processes.start(
        "program", [str(python), str(tmp_path / "hello.py")], processes.environment() | pythonpath
    )
    assert program.wait_for_exit() == 0
    assert "Hello Ada, signed by task" in program.output
