"""The documentation says what is there: settings, errors, events, metrics, names, commands, links and code."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import prometheus_client
import pytest
import typer
import yaml
from typer.core import TyperCommand

import agent_tasks
from agent_tasks import backlog, errors, metrics
from agent_tasks.errors import AgentTaskError, ErrorType, InvalidInput
from agent_tasks.settings import Settings
from agent_tasks.task.event import EventType
from tests.documents import ROOT, blocks, documents, module_of

DOCUMENTS = documents()
NAMES = sorted(DOCUMENTS)
OTHER_VARIABLES = {"AGENT_TASKS_DATA_DIR", "AGENT_TASKS_TEST_DATABASE_URL"}
"""Read from the environment, and not settings of a deployment."""
WITHOUT_ARROW = {
    "sign_out",
    "alert",
    "logs",
    "__init__",
    "audit",
    "ending",
    "fence",
    "idempotency",
    "job",
    "open_wait",
    "keys",
    "outbox",
    "push",
    "replay",
    "ping",
    "statistics",
    "schedule",
    "webhook",
    "delivery",
    "lane",
    "watch",
}


def rows(name: str, heading: str) -> Iterator[list[str]]:
    """The cells of the tables under a heading of a document, without their head rows."""
    section = re.split(r"^#+ ", DOCUMENTS[name], flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(f"{heading}\n")]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith("| ---") and not following.startswith("| ---"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def prose(name: str) -> str:
    return re.sub(r"^```.*?^```", "", DOCUMENTS[name], flags=re.MULTILINE | re.DOTALL)


def code() -> str:
    """Everything that is marked as code, in line or in blocks."""
    everything = "\n".join(DOCUMENTS.values())
    fenced = "\n".join(re.findall(r"^```\w*\n(.*?)^```", everything, flags=re.MULTILINE | re.DOTALL))
    return fenced + "\n".join(re.findall(r"`([^`\n]+)`", "\n".join(map(prose, NAMES))))


def commands() -> dict[str, TyperCommand]:
    """By name; a command of a group as `keys create`, and the group itself, too."""
    from agent_tasks.cli.application import app

    found: dict[str, TyperCommand] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        found[name] = command
        found |= {f"{name} {below}": each for below, each in getattr(command, "commands", {}).items()}
    return found


def source() -> str:
    files = [f for package in ("agent_tasks", "beat", "workers") for f in (ROOT / package).rglob("*.py")]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def shown_default(default: object) -> str:
    if default in ("", ()):
        return "none"
    if isinstance(default, tuple):
        return ",".join(default)
    return f"{default}".lower() if isinstance(default, bool) else f"{default}".removesuffix(".0")


def test_the_table_of_settings_has_every_setting_with_its_default() -> None:
    documented = {cells[0].strip("`"): cells[1] for cells in rows("docs/operations.md", "Settings")}
    there = {
        f"AGENT_TASKS_{name.upper()}": shown_default(field.default) for name, field in Settings.model_fields.items()
    }
    assert documented == there


def test_only_settings_that_exist_are_spoken_of() -> None:
    known = {f"AGENT_TASKS_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    assert set(re.findall(r"AGENT_TASKS_\w+", "\n".join(DOCUMENTS.values()))) <= known


def test_a_setting_is_called_reserved_while_nothing_reads_it() -> None:
    """An embedded program may read the environment itself, as the bundled agents do with the model's name."""
    text = source()
    unread = {
        f"AGENT_TASKS_{name.upper()}"
        for name in Settings.model_fields
        if not re.search(rf"settings\.{name}\b|environ\S*AGENT_TASKS_{name.upper()}", text)
    }
    documented = {c[0].strip("`") for c in rows("docs/operations.md", "Settings") if c[2].startswith("Reserved.")}
    assert documented == unread


def test_the_table_of_errors_has_every_type_as_its_class_declares_it() -> None:
    classes = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, AgentTaskError)]
    heads = {c.type: c for c in classes if c is not AgentTaskError and not issubclass(c.__base__, InvalidInput)}
    assert set(heads) == set(ErrorType)
    documented = [cells[:4] for cells in rows("docs/errors.md", "Errors") if len(cells) == 6]
    assert sorted(documented) == sorted(
        [f"`{t}`", f"`{c.__name__}`", "yes" if c.retryable else "no", f"`{c.suggested_action}`"]
        for t, c in heads.items()
    )
    kinds = [cells[0].strip("`") for cells in rows("docs/errors.md", "Errors") if len(cells) == 2]
    assert sorted(kinds) == sorted(c.__name__ for c in classes if c.__base__ is InvalidInput)


def test_the_table_of_events_has_every_type() -> None:
    assert [cells[0].strip("`") for cells in rows("docs/submitting.md", "History")] != []
    assert {cells[0].strip("`") for cells in rows("docs/submitting.md", "History")} == set(EventType)


def test_the_table_of_metrics_has_every_metric_with_its_labels() -> None:
    documented = {
        cells[0].strip("`"): set(re.findall(r"`(\w+)`", cells[1])) for cells in rows("docs/operations.md", "Metrics")
    }
    of_deployment = {f"agent_tasks_{name}": set(family._labelnames) for name, family in backlog.families().items()}
    there = {
        metric._name + ("_total" if isinstance(metric, prometheus_client.Counter) else ""): set(metric._labelnames)
        for metric in vars(metrics).values()
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase)
    }
    assert documented == there | of_deployment


def test_the_messages_of_the_log_are_those_of_the_code() -> None:
    text = source()
    for cells in rows("docs/operations.md", "Logs"):
        for message in re.findall(r"`([^`]+)`", cells[0]):
            assert message in text, message


def test_the_page_on_the_audit_has_every_operation_and_every_door() -> None:
    from agent_tasks.client.sessions import AGENTCORE
    from agent_tasks.gateway.a2a.call import A2A
    from agent_tasks.gateway.console.looks import READ_PAYLOADS
    from agent_tasks.gateway.mcp.methods import DOOR as MCP
    from agent_tasks.gateway.operations import OPERATIONS
    from agent_tasks.gateway.stages.authenticate import CONSOLE
    from agent_tasks.task.origin import DOORS

    (section,) = re.findall(r"^## Audit\n(.*?)^## ", DOCUMENTS["docs/operations.md"], re.M | re.S)
    named = set(re.findall(r"`(\w+)`", section))
    written = {each.written_as or each.name for each in (*OPERATIONS.values(), READ_PAYLOADS) if each.writes}
    written |= set(re.findall(r"""(?:\bentry\(|audit\.write\(connection, )"(\w+)\"""", source()))
    assert {"submit", "purge", "create_key"} <= written
    assert written - named == set()
    assert set(DOORS) == {"python", "cli", "http", "hook", CONSOLE, A2A, MCP, AGENTCORE}
    assert set(DOORS) - named == set()


def test_every_transition_is_told_with_its_arrow() -> None:
    documented = {
        file for cells in rows("docs/architecture.md", "States") for file in re.findall(r"`(\w+)\.py`", cells[0])
    }
    there = {file.stem for file in (ROOT / "agent_tasks" / "transitions").glob("*.py")}
    assert documented == there - WITHOUT_ARROW


def test_every_table_of_the_database_is_told() -> None:
    from agent_tasks.store.tables import metadata

    assert {cells[0].strip("`") for cells in rows("docs/architecture.md", "Tables")} == {
        table.name for table in metadata.tables.values()
    }


@pytest.mark.parametrize("name", agent_tasks.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", code()), f"{name} is in agent_tasks.__all__, and in no document"


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(name)):
        path, _, place = target.partition("#")
        assert "://" not in target, f"{name} links to {target}, which no test can follow"
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), f"{name} links to {target}"
        if place:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert place in map(anchor, headings), f"{name} links to {target}"


@pytest.mark.parametrize("name", sorted(f"{file.stem}.md" for file in (ROOT / "docs").glob("*.md")))
def test_every_page_is_in_the_table_of_contents(name: str) -> None:
    if name == "index.md":
        return
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(rf"\b{name}\b", nav), f"mkdocs.yml has no {name}"
    assert f"({name})" in DOCUMENTS["docs/index.md"], f"docs/index.md does not link to {name}"


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    spoken_of = set(re.findall(r"(?:^|\$ |`)make ([a-z-]+)", "\n".join(DOCUMENTS.values()), re.MULTILINE))
    assert {"demo", "test"} <= spoken_of <= targets


def test_every_command_and_its_options_exist() -> None:
    there = commands()
    spoken_of = re.findall(r"\bagent-tasks ([a-z][a-z-]*)((?: [^`|\n]*)?)", code())
    assert spoken_of
    for name, rest in spoken_of:
        assert name in there, f"agent-tasks {name}"
        if below := next((each for each in there if f"{name}{rest} ".startswith(f"{each} ") and " " in each), None):
            name, rest = below, f"{name}{rest}".removeprefix(below)
        options = {option for parameter in there[name].params for option in parameter.opts}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= options, f"agent-tasks {name}{rest}"


def test_the_readme_names_every_command() -> None:
    readme = DOCUMENTS["README.md"]
    assert [name for name in commands() if " " not in name and not re.search(rf"\b{name}\b", readme)] == []


@pytest.mark.parametrize("name", NAMES)
def test_python_blocks_parse_and_import_what_is_there(name: str) -> None:
    for block in blocks(name, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "agent_tasks":
                assert {alias.name for alias in node.names} <= {*agent_tasks.__all__, "aio"}


@pytest.mark.parametrize("name", ["docs/agents.md", "docs/budgets.md", "docs/errors.md"])
def test_the_agents_of_a_document_load(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = loaded(name, tmp_path, monkeypatch)
    for function in [value for key, value in vars(module).items() if key.startswith("test_")]:
        function()
    for agent in [value for value in vars(module).values() if isinstance(value, agent_tasks.Agent)]:
        for step in agent.runnable.values():
            assert step.arguments is not None


@pytest.mark.parametrize("name", NAMES)
def test_yaml_blocks_parse(name: str) -> None:
    for block in blocks(name, "yaml"):
        assert yaml.safe_load(block)


def test_the_fifteen_lines_are_about_fifteen() -> None:
    (block,) = blocks("README.md", "python")
    assert len([line for line in block.splitlines() if line.strip()]) <= 16


def test_the_readme_asks_for_the_variables_that_compose_needs() -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert set(re.findall(r"^(\w+)=<", DOCUMENTS["README.md"], re.MULTILINE)) == needed


def loaded(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The Python blocks of a document as one module, whose agents are forgotten after the test."""
    from agent_tasks.authoring import agent as agents

    monkeypatch.setattr(agents, "_registry", dict(agents.loaded_agents()))
    return module_of(name, folder, monkeypatch)


def test_one_file_writes_events() -> None:
    writing = [f for f in (ROOT / "agent_tasks").rglob("*.py") if "INSERT INTO agent_tasks.events" in f.read_text()]
    assert [str(file.relative_to(ROOT)) for file in writing] == ["agent_tasks/store/history.py"]


def test_the_path_of_a_step_names_files_and_functions_that_are_there() -> None:
    (section,) = re.findall(r"^## The path of a step\n(.*?)^## ", DOCUMENTS["docs/architecture.md"], re.M | re.S)
    named = re.findall(r"`([\w/]+\.py)`(?:, `(\w+)`)?(?: or `(\w+)`)?", section)
    assert len(named) > 20
    for file, *functions in named:
        text = (ROOT / "agent_tasks" / file).read_text(encoding="utf-8")
        for function in filter(None, functions):
            assert re.search(rf"\b(def|class) {function}\b", text), f"{file} has no {function}"
