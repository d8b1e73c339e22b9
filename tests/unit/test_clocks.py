"""No clock but Postgres's decides anything: a machine's own is read only to show something, or to guess."""

import ast
from collections.abc import Iterator

from tests.documents import ROOT

SHOWN_OR_GUESSED = {
    "celery/worker.py": {"datetime.now"},  # when a bell that nobody here can take comes again: in about a second
    "authoring/context.py": {"datetime.now"},  # ctx.deadline, as an author is shown it
    "authoring/calls/notes.py": {"datetime.now"},  # ctx.now, which is the author's to use, and decides nothing of ours
    "bundled/planner/tools.py": {"datetime.now"},  # whether a result that is not there is said to have expired
    "testing/fake_operations.py": {"datetime.now"},  # when a signal came that a test made up
    "cli/text.py": {"datetime.now"},  # how long ago something was
    "client/watched.py": {"datetime.now"},  # when to ask why nobody takes a task
    "engine/observers/flower.py": {"time.time"},  # the timestamps of Celery's events
    "tracing/spans.py": {"time.time_ns"},  # the times of spans
    "gateway/console/templates.py": {"datetime.now"},  # whether a time is shown with its day
    "gateway/answers.py": {"datetime.now"},  # when to look again at a task
    "gateway/agentcore/ping.py": {"time.time"},  # what is told before Postgres has answered once
    "errors.py": {"datetime.now"},  # a retry_after that a server or an author gave as a time of day
}
WALL_CLOCKS = {
    "time.time", "time.time_ns", "time", "time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today",
    "time.localtime", "time.gmtime", "time.clock_gettime",
}  # fmt: skip


def readings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in WALL_CLOCKS:
            yield name


def test_the_wall_clock_of_a_machine_is_read_only_to_show_or_to_guess() -> None:
    package = ROOT / "agent_tasks"
    found: dict[str, set[str]] = {}
    for file in package.rglob("*.py"):
        if names := set(readings(ast.parse(file.read_text(encoding="utf-8")))):
            found[str(file.relative_to(package))] = names
    assert found == SHOWN_OR_GUESSED
