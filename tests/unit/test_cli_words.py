"""How waits, histories and trees read in a terminal."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from rich.cells import cell_len
from rich.console import Console

from agent_tasks.cli.history import described
from agent_tasks.cli.lines import fitted, packed
from agent_tasks.cli.status import describe
from agent_tasks.cli.text import awaited, clock, printable, time_left, waits_for
from agent_tasks.cli.tree_view import drawn as drawn_ids
from agent_tasks.cli.tree_view import tree_view
from agent_tasks.client.tree import TreeNode
from agent_tasks.errors import ErrorInfo, ErrorType
from agent_tasks.task.budget import Budget, Remaining, Spend
from agent_tasks.task.event import Event, EventType
from agent_tasks.task.snapshot import BudgetState, Progress, TaskSnapshot, WaitingFor
from agent_tasks.task.status import TaskStatus

NOW = datetime.now(UTC)
TASK = UUID("0198c2f4-0000-7000-8000-000000000000")


def wait(kind: str, **values: Any) -> WaitingFor:
    return WaitingFor(kind=kind, since=NOW - timedelta(minutes=30), **values)


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        (wait("signal", name="approval", names=["approval"]), ["signal approval"]),
        (wait("signal", names=["a", "b"], mode="any"), ["any", "a, b"]),
        (wait("signal", names=["a", "b"], mode="all"), ["all", "a, b"]),
        (wait("children", name="1 children"), ["1 child"]),
        (wait("children", name="5 children"), ["5 children"]),
        (wait("retry", name="act"), ["act"]),
        (wait("timer"), ["timer"]),
    ],
)
def test_what_is_awaited_is_told_in_words_with_how_long_it_has_taken(waiting: WaitingFor, words: list[str]) -> None:
    waiting = waiting.model_copy(update={"since": datetime.now(UTC) - timedelta(minutes=30)})  # however late it runs
    assert [word for word in [*words, "30 min"] if word not in waits_for(waiting)] == []
    assert not awaited(waiting).endswith("1 children")


@pytest.mark.parametrize(
    ("kind", "until", "words"),
    [
        ("signal", timedelta(days=3, minutes=1), "3 d more"),
        ("children", timedelta(minutes=5, seconds=5), "5 min more"),
        ("timer", timedelta(days=60, minutes=1), "in 60 d"),
        ("retry", timedelta(minutes=5, seconds=20), "in 5 min"),
        ("timer", -timedelta(minutes=5), "5 min ago"),
    ],
)
def test_how_long_it_may_take_is_told_in_words(kind: str, until: timedelta, words: str) -> None:
    assert words in time_left(wait(kind, until=datetime.now(UTC) + until))
    assert time_left(wait(kind)) == ""


SAID: list[tuple[str, Any, list[str]]] = [
    ("submitted", {"agent": "writer", "step": "outline"}, ["writer", "outline"]),
    ("resumed", {"from": "0198", "step": "combine", "step_number": 2}, ["0198", "combine (2)"]),
    ("dispatched", {"step": "outline", "queue": "agents"}, ["outline", "agents"]),
    ("dispatched", {"again": True}, ["again"]),
    ("dispatched", {"due": True}, ["time"]),
    ("dispatched", {"called_in": True}, ["children"]),
    ("dispatched", None, []),
    (
        "claimed",
        {"step": "outline", "step_number": 0, "attempt": 2, "run": 2, "worker": "w1"},
        ["(0)", "w1", "attempt 2"],
    ),
    ("claimed", {"step": "combine", "step_number": 1, "attempt": 1, "run": 1}, ["combine (1)", "same worker"]),
    ("committed", {"step": "outline", "step_number": 0, "next": "combine"}, ["outline (0)", "combine"]),
    ("charged", {"tokens": 1200, "usd": 0.00012}, ["1,200 tokens", "0.00012 usd"]),
    ("budget_low", {"resource": "tokens", "spent": 800, "limit": 1000}, ["800 tokens", "1,000 tokens"]),
    ("partial", None, ["result"]),
    ("waiting", {"kind": "signal", "names": ["approval"], "timeout": 172800}, ["approval", "2 d at most"]),
    ("waiting", {"kind": "signal", "names": ["a", "b"], "timeout": None}, ["signals a, b"]),
    ("waiting", {"kind": "timer", "seconds": 60, "until": None}, ["60 s"]),
    ("waiting", {"kind": "timer", "seconds": None, "until": "2030-01-01T00:00:00Z"}, ["2030-01-01T00:00:00Z"]),
    ("waiting", {"kind": "children"}, ["children"]),
    ("waiting", {"kind": "signal", "step": "decide", "queue": "agents"}, ["signal"]),
    ("signalled", {"name": "approval", "signal_id": None, "sender": None}, ["approval", "program"]),
    (
        "signalled",
        {"name": "go", "signal_id": "s1", "sender": {"subject": "ana", "tenant": "acme", "actors": ["writer"]}},
        ["go", "ana of acme", "writer", "s1"],
    ),
    ("signal_refused", {"signal": 3, "why": "payload.ok: no boolean"}, ["payload.ok: no boolean"]),
    ("spawned", {"children": 1, "agents": ["echo"]}, ["1 child:", "echo"]),
    (
        "spawned",
        {"children": 3, "agents": ["echo", "plan"], "clamped": {"1": ["usd"]}},
        ["3 children", "plan", "1 with"],
    ),
    ("joined", None, ["children"]),
    ("undoing", {"status": "failed", "error": "step_failed"}, ["failed", "step_failed"]),
    ("undone", {"step": "hotel", "step_number": 0}, ["hotel (0)"]),
    ("not_undone", {"step": "flight", "step_number": 1, "error": "no answer"}, ["flight (1)", "no answer"]),
    ("retried", {"step": "act", "failures": 2, "delay": 1.5, "error": "away"}, ["act", "1.5 s", "2", "away"]),
    ("released", None, ["worker"]),
    ("moved", {"queue": "rescue"}, ["rescue"]),
    ("prioritised", {"priority": 9}, ["9"]),
    ("expired", None, ["worker"]),
    ("expired", {"orphan": True}, ["worker"]),
    ("finished", {"status": "completed"}, ["completed"]),
    ("finished", {"status": "timeout", "error": "budget_exhausted", "resource": "seconds"}, ["timeout", "seconds"]),
    ("finished", {"error": "context_lost"}, ["context_lost"]),
]
"""What an event's words must hold of its data."""


def event(type: str, data: Any) -> Event:
    return Event(task_id=TASK, seq=1, type=type, data=data, at=NOW)


@pytest.mark.parametrize(("type", "data", "words"), SAID)
def test_an_event_is_told_in_words_with_what_its_data_says(type: str, data: Any, words: list[str]) -> None:
    said = described(event(type, data))
    assert [word for word in words if word not in said] == []
    assert "{" not in said
    assert "\n" not in said


def test_every_type_of_event_has_its_words() -> None:
    assert {type for type, _, _ in SAID} == set(EventType)


@pytest.mark.parametrize("data", [3, ["x"], {"else": 1}, {"kind": "signal", "names": 3}])
def test_an_event_of_other_data_is_told_as_json(data: Any) -> None:
    assert json.loads(described(event("waiting", data))) == data
    assert json.loads(described(event("of_the_agents_own", data))) == data


def test_what_agents_say_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[31m\nb\u009bc") == "a [31m b c"
    assert "\x1b" not in described(event("of_the_agents_own", "\x1b[2J\u009b"))
    assert "\x1b" not in awaited(wait("signal", names=["\x1b[2J"]))


@pytest.mark.parametrize("width", [30, 50, 80, 200])
def test_parts_are_packed_into_lines_that_fit(width: int) -> None:
    parts = ["for signal approval", "", "at most 3 d more", "報告を待つ" * 9, "x" * 300]
    lines = packed(parts, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "").startswith("forsignalapproval")
    assert lines[-1].endswith("…")
    assert cell_len(fitted("報告を待つ", 6)) <= 6


def test_the_time_of_what_was_long_ago_is_its_day() -> None:
    assert clock(NOW) == f"{NOW:%H:%M:%S}.{NOW.microsecond // 1000:03}"
    assert clock(datetime(2024, 3, 5, 7, 9, tzinfo=UTC)) == "Mar 05 07:09"


def snapshot(number: int, status: TaskStatus = TaskStatus.RUNNING, **values: Any) -> TaskSnapshot:
    state = BudgetState(
        limit=Budget(seconds=600, tokens=50_000, usd=2),
        spent=Spend(seconds=12, tokens=1200, usd=0.1),
        remaining=Remaining(seconds=588, tokens=48_800, usd=1.9),
        reserved=Spend(tokens=10_000),
    )
    return TaskSnapshot(
        id=UUID(int=number),
        agent="a" * 64,
        step="b" * 64,
        status=status,
        step_number=1,
        attempt=1,
        budget=state,
        version=1,
        root_id=UUID(int=0),
        queue="agents",
        created_at=NOW,
        progress=Progress(done=3, total=5, message="reading\nthe \x1b[31mreport " * 9),
        **values,
    )


def test_status_says_what_was_and_was_not_undone() -> None:
    details = {"undone": [{"step": "hotel"}], "not_undone": [{"step": "flight", "error": "no\nanswer"}]}
    error = ErrorInfo(type=ErrorType.STEP_FAILED, message="the card was declined", details=details)
    lines = describe(snapshot(1, TaskStatus.FAILED, finished_at=NOW, error=error), {}).splitlines()
    assert "undone      hotel" in lines
    assert "not undone  flight: no answer" in lines


def deep(levels: int) -> TreeNode:
    below = [deep(levels - 1)] if levels else []
    return TreeNode(snapshot=snapshot(levels, waiting_for=wait("signal", names=["x" * 128])), children=below)


def test_a_deep_tree_of_long_names_is_drawn_in_80_columns() -> None:
    console = Console(width=80, highlight=False)
    with console.capture() as capture:
        console.print(tree_view(deep(8), 20, {}))
    lines = capture.get().splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    assert "\x1b[31m" not in capture.get()
    assert all(str(UUID(int=n)) in capture.get() for n in range(9))


def test_of_many_children_the_living_are_drawn_and_the_rest_counted() -> None:
    completed = [TreeNode(snapshot=snapshot(n, TaskStatus.COMPLETED, finished_at=NOW)) for n in range(1, 40)]
    top = TreeNode(snapshot=snapshot(0), children=[*completed, TreeNode(snapshot=snapshot(99))])
    console = Console(width=80)
    with console.capture() as capture:
        console.print(tree_view(top, 2, {UUID(int=99): '{"question": "tides"}', UUID(int=1): "{" + "x" * 200 + "}"}))
    drawn = capture.get()
    assert drawn_ids(top, 2) == [UUID(int=0), UUID(int=1), UUID(int=99)]
    assert '#39 {"question": "tides"}' in drawn
    assert all(cell_len(line) <= 80 for line in drawn.splitlines())
    assert str(UUID(int=99)) in drawn
    assert "and 38 more: 38 completed" in drawn
