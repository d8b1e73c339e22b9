"""What living tasks need of the code: fifty other releases of an example, each asked by itself, in one database."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from agent_tasks import Agent, AgentTasks, Signal
from agent_tasks.authoring import agent as agents
from agent_tasks.client.misfits import Misfit, misfits
from agent_tasks.store.queries import living
from tests.database import query


class Address(BaseModel):
    street: str
    town: str = "Rome"


@dataclass(frozen=True)
class Release:
    """What a release of the agent `parcel` has; `order` → `pack` (waits, 600 s) → `send` or `late`, and a timer."""

    agent: str = "parcel"
    order: str = "order"
    pack: str = "pack"
    send: str = "send"
    late: str | None = "late"
    order_takes: dict[str, Any] = field(default_factory=lambda: {"to": str, "weight": int})
    send_takes: dict[str, Any] = field(
        default_factory=lambda: {
            "to": str,
            "weight": int,
            "address": Address,
            "fast": bool,
            "signal": Signal[str] | None,
        }
    )
    send_defaults: dict[str, Any] = field(default_factory=dict[str, Any])
    undo_takes: dict[str, Any] | None = field(default_factory=lambda: {"to": str, "fast": bool})
    signals: list[str] | None = field(default_factory=lambda: ["go"])
    was: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    migrate: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def load(self) -> Agent:
        made = Agent(self.agent, signals=self.signals)
        undo = None if self.undo_takes is None else function(self.undo_takes)
        made.step(function(self.order_takes), name=self.order, undo=undo, was=self.was.get(self.order, ()))
        send = function(self.send_takes, self.send_defaults)
        made.step(send, name=self.send, was=self.was.get(self.send, ()), migrate_state=self.migrate)
        if self.late is not None:
            made.step(
                function(self.send_takes, self.send_defaults),
                name=self.late,
                was=self.was.get(self.late, ()),
                migrate_state=self.migrate,
            )
        return made


def function(takes: dict[str, Any], defaults: dict[str, Any] | None = None) -> Callable[..., Any]:
    """A step's function with these annotations; those that have a default come last."""
    given = defaults or {}
    names = sorted(takes, key=lambda name: name in given)
    written = ", ".join(f"{name}=given[{name!r}]" if name in given else name for name in names)
    space: dict[str, Any] = {"given": given}
    exec(f"def made(ctx, *, {written}): ..." if names else "def made(ctx): ...", space)
    space["made"].__annotations__ = dict(takes)
    return space["made"]


NOW = Release()
TAKES = NOW.send_takes


def takes(**changes: Any) -> dict[str, Any]:
    """The arguments of `send` with these; None leaves one out."""
    return {name: hint for name, hint in {**TAKES, **changes}.items() if hint is not None}


class Elsewhere(BaseModel):
    street: str
    country: str


HARMLESS: dict[str, Release] = {
    "the same": NOW,
    "a default more": replace(NOW, send_takes=takes(by=str), send_defaults={"by": "us"}),
    "any signal": replace(NOW, signals=None),
    "a signal more": replace(NOW, signals=["go", "stop"]),
    "a wider type": replace(NOW, send_takes=takes(weight=float)),
    "a union": replace(NOW, send_takes=takes(to=str | int)),
    "any type": replace(NOW, send_takes=takes(address=Any)),
    "a dict": replace(NOW, send_takes=takes(address=dict)),
    "a literal that all have": replace(NOW, send_takes=takes(to=Literal["ana", "bob", "cleo"])),
    "no annotation of a default": replace(NOW, send_takes=takes(note=Any), send_defaults={"note": None}),
    "no signal handed": replace(NOW, send_takes={k: v for k, v in TAKES.items() if k != "signal"}),
    "any payload": replace(NOW, send_takes=takes(signal=Any)),
    "a step renamed with was": replace(NOW, send="ship", was={"ship": ["send"]}),
    "the first step renamed with was": replace(NOW, order="begin", was={"begin": ["order"]}),
    "the time-out renamed with was": replace(NOW, late="overdue", was={"overdue": ["late"]}),
    "an undo that takes less": replace(NOW, undo_takes={"to": str}),
    "an undo that takes nothing": replace(NOW, undo_takes={}),
    "an argument renamed and migrated": replace(
        NOW,
        send_takes={**takes(to=None), "who": str},
        migrate=lambda s: {**{k: v for k, v in s.items() if k != "to"}, "who": s["to"]},
    ),
    "a model narrowed and migrated": replace(
        NOW,
        send_takes=takes(address=Elsewhere),
        migrate=lambda s: {**s, "address": {"street": s["address"]["street"], "country": "it"}},
    ),
    "renamed and migrated": replace(
        NOW, send="ship", was={"ship": ["send"]}, send_takes=takes(by=str), migrate=lambda s: {**s, "by": "us"}
    ),
    "an optional input more": replace(NOW, order_takes={"to": str, "weight": int | str}),
    "an undo of other names": replace(NOW, undo_takes={"weight": int}),
    "a model with a default more": replace(NOW, send_takes=takes(address=dict[str, str])),
}
"""Releases that take all that is recorded."""
BREAKING: dict[str, tuple[Release, str]] = {
    "the agent removed": (replace(NOW, agent="packet"), "agent"),
    "a step renamed": (replace(NOW, send="ship"), "step"),
    "the first step renamed": (replace(NOW, order="begin"), "step"),
    "the time-out renamed": (replace(NOW, late="overdue"), "step"),
    "the time-out removed": (replace(NOW, late=None), "step"),
    "renamed by a wrong name": (replace(NOW, send="ship", was={"ship": ["sent"]}), "step"),
    "an argument dropped": (replace(NOW, send_takes=takes(weight=None)), "state"),
    "another argument dropped": (replace(NOW, send_takes=takes(address=None)), "state"),
    "a required argument more": (replace(NOW, send_takes=takes(by=str)), "state"),
    "an argument renamed": (replace(NOW, send_takes={**takes(to=None), "who": str}), "state"),
    "text is a number": (replace(NOW, send_takes=takes(to=int)), "state"),
    "a number is text": (replace(NOW, send_takes=takes(weight=str)), "state"),
    "a number is a flag": (replace(NOW, send_takes=takes(weight=bool)), "state"),
    "a model is text": (replace(NOW, send_takes=takes(address=str)), "state"),
    "a model is a list": (replace(NOW, send_takes=takes(address=list)), "state"),
    "a model needs more": (replace(NOW, send_takes=takes(address=Elsewhere)), "state"),
    "values of a dict are numbers": (replace(NOW, send_takes=takes(address=dict[str, int])), "state"),
    "a literal that one has not": (replace(NOW, send_takes=takes(to=Literal["ana", "bob"])), "state"),
    "a bound that one exceeds": (replace(NOW, send_takes=takes(weight=Literal[1, 2])), "state"),
    "a flag is only true": (replace(NOW, send_takes=takes(fast=Literal[True])), "state"),
    "nothing is taken": (replace(NOW, send_takes={"signal": Any}), "state"),
    "a migration that raises": (
        replace(NOW, send_takes=takes(by=str), migrate=lambda s: {**s, "by": s["sender"]}),
        "state",
    ),
    "a migration that returns nothing": (replace(NOW, send_takes=takes(by=str), migrate=lambda s: None), "state"),  # type: ignore[arg-type, return-value]
    "a migration that makes another state": (replace(NOW, send_takes=takes(by=str), migrate=lambda s: s), "state"),
    "a signal renamed": (replace(NOW, signals=["went"]), "signal"),
    "no signal declared": (replace(NOW, signals=[]), "signal"),
    "a payload narrowed": (replace(NOW, send_takes=takes(signal=Signal[int] | None)), "signal"),
    "a payload is a model": (replace(NOW, send_takes=takes(signal=Signal[Address] | None)), "signal"),
    "the undo removed": (replace(NOW, undo_takes=None), "undo"),
    "an undo needs more": (replace(NOW, undo_takes={"to": str, "box": int}), "undo"),
    "an undo narrowed": (replace(NOW, undo_takes={"to": int}), "undo"),
    "an undo of a literal": (replace(NOW, undo_takes={"to": Literal["ana"]}), "undo"),
    "an input narrowed": (replace(NOW, order_takes={"to": str, "weight": Literal[1, 2]}), "schedule"),
    "an input dropped": (replace(NOW, order_takes={"to": str}), "schedule"),
    "an input more": (replace(NOW, order_takes={"to": str, "weight": int, "by": str}), "schedule"),
}
"""Releases that do not, and what does not fit."""

_TASK = """
    INSERT INTO agent_tasks.tasks (id, agent, status, step, step_number, queue, root_id, lineage_id, ttl_seconds, input,
        waiting_for, due_at, undoable)
    SELECT id, 'parcel', %s, %s, %s, 'agents', id, id, 900, %s::jsonb, %s::jsonb, now() + interval '1 h', %s
    FROM (SELECT gen_random_uuid() AS id) AS new RETURNING id
"""
_CHECKPOINT = """
    INSERT INTO agent_tasks.checkpoints (task_id, step_number, step, next_step, state, undo, run, seconds)
    VALUES (%s, 0, 'order', 'send', %s::jsonb, true, 1, 0)
"""


@pytest.fixture
def recorded(client: AgentTasks) -> AgentTasks:
    """Three tasks at each place of the release as it is now, and a schedule."""
    for number, to in enumerate(("ana", "bob", "cleo"), 1):
        given = f'{{"to": "{to}", "weight": {number}}}'
        address = {"street": f"s{number}"}
        state = json.dumps({"to": to, "weight": number, "address": address, "fast": number > 1})
        query(client, _TASK, "pending", "order", 0, given, None, 0)
        waits = '{"kind": "signal", "names": ["go"], "mode": "any", "until": "2030-01-01", "on_timeout": "late"}'
        for status, waiting_for in (("waiting", waits), ("pending", None)):
            (task,) = query(client, _TASK, status, "send", 1, given, waiting_for, 1)
            query(client, _CHECKPOINT, task["id"], state)
        query(
            client,
            "INSERT INTO agent_tasks.signals (task_id, name, payload, consumed_step) VALUES (%s, 'go', '\"yes\"', 1)",
            task["id"],
        )
    query(
        client,
        "INSERT INTO agent_tasks.schedules (name, agent, input, options, every_seconds, timezone, next_at) "
        "VALUES ('daily', 'parcel', '{\"to\": \"ana\", \"weight\": 3}', '{}', 60, 'UTC', now() + interval '1 d')",
    )
    return client


@pytest.fixture(autouse=True)
def _no_agents_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "_registry", {})


def found(client: AgentTasks, release: Release) -> list[Misfit]:
    agents._registry.clear()
    made = release.load()
    with client.database.connection() as connection, connection.transaction():
        return misfits(connection, {made.name: made})


def test_of_fifty_other_releases_each_that_breaks_a_task_is_found_and_no_other(recorded: AgentTasks) -> None:
    assert len(HARMLESS) + len(BREAKING) >= 50
    assert {name: said for name, release in HARMLESS.items() if (said := found(recorded, release))} == {}
    kinds = {name: {str(one.kind) for one in found(recorded, release)} for name, (release, _) in BREAKING.items()}
    assert {name: (kind, kinds[name]) for name, (_, kind) in BREAKING.items() if kind not in kinds[name]} == {}


def test_a_misfit_says_how_many_tasks_it_has_which_one_and_what_to_do(recorded: AgentTasks) -> None:
    (one,) = found(recorded, replace(NOW, send="ship"))
    assert (one.kind, one.agent, one.step, one.tasks) == ("step", "parcel", "send", 6)
    assert one.problem == "The code of parcel has no step send."
    assert one.action == "Name it in was= of the step that takes its place, or keep it until no task is at it."
    ids = [str(row["id"]) for row in query(recorded, "SELECT id FROM agent_tasks.tasks WHERE step = 'send'")]
    assert one.example == min(ids)


def test_only_states_that_the_code_tells_apart_are_read(client: AgentTasks) -> None:
    query(
        client,
        """
        INSERT INTO agent_tasks.tasks (id, agent, status, step, queue, root_id, lineage_id, ttl_seconds, input, due_at)
        SELECT id, 'parcel', 'pending', 'order', 'agents', id, id, 900,
            jsonb_build_object('to', 'person ' || n, 'weight', n), now()
        FROM (SELECT n, gen_random_uuid() AS id FROM generate_series(1, 2000) AS n) AS new
        """,
    )
    agents._registry.clear()
    step = NOW.load().steps["order"]
    with client.database.connection() as connection, connection.transaction():
        (row,) = living.states(connection, {step.task_name: step.accepted}, [])
        narrowed = {step.task_name: {"to": {"string"}, "weight": set[str]()}}
        assert len(list(living.states(connection, narrowed, []))) == 2000
    assert (row["state"], row["tasks"]) == ({"to": "", "weight": 0}, 2000)
