"""Submit: accepted at once, or refused with a typed error before anything is written."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from agent_tasks import (
    Agent,
    AgentTasks,
    Budget,
    Identity,
    InvalidInput,
    PayloadTooLarge,
    SyncContext,
    TaskNotFound,
    UnknownAgent,
)
from agent_tasks.doorbell.lists import OURS
from agent_tasks.store.queries.catalog import register_agents
from tests.database import all_of, claimed, query, row_of

typed = Agent("submit_typed")


@typed.step
def begin(ctx: SyncContext, topic: str, at: datetime | None = None, **more: Any):
    return topic


def count(client: AgentTasks) -> int:
    return query(client, "SELECT count(*) AS n FROM agent_tasks.tasks")[0]["n"]


def rung(client: AgentTasks, queue: str = "agents") -> int:
    return sum(client.redis.llen(key) for key in OURS.of(queue))  # type: ignore[misc]


def test_a_submit_writes_the_task_rings_and_tells_what_it_wrote(client: AgentTasks) -> None:
    ana = Identity(subject="ana", tenant="acme")
    task = client.submit(
        "submit_typed", {"topic": "tides"}, budget=Budget(seconds=300, usd=0.3), identity=ana, session_id="s",
        queue="special", priority=9, ttl=50, metadata={"ticket": 7},
    )  # fmt: skip
    assert task.id.version == 7
    snapshot = task.snapshot()
    assert (snapshot.status, snapshot.step, snapshot.step_number, snapshot.version) == ("pending", "begin", 0, 1)
    assert (snapshot.identity, snapshot.session_id, snapshot.metadata) == (ana, "s", {"ticket": 7})
    assert (snapshot.budget.limit, snapshot.queue, snapshot.root_id) == (
        Budget(seconds=300, usd=0.3),
        "special",
        task.id,
    )
    row = row_of(client, task.id)
    assert (row["tenant"], row["priority"], row["ttl_seconds"]) == ("acme", 9, 50)
    assert [(e["seq"], e["type"]) for e in all_of(client, task.id)["events"]] == [(1, "submitted"), (2, "dispatched")]
    assert client.redis.llen("special") == 1


def test_a_thousand_inputs_are_accepted_in_order_by_one_statement(client: AgentTasks) -> None:
    tasks = client.submit_many("echo", ({"value": n} for n in range(1000)))
    assert len(tasks) == len(set(tasks)) == count(client) == rung(client) == 1000
    assert [row["n"] for row in query(client, "SELECT input->'value' AS n FROM agent_tasks.tasks ORDER BY id")] == list(
        range(1000)
    )
    assert sorted(tasks, key=lambda t: t.id) == tasks
    assert len(query(client, "SELECT DISTINCT xmin::text FROM agent_tasks.tasks")) == 1


def test_of_many_inputs_all_are_accepted_or_none(client: AgentTasks) -> None:
    assert client.submit_many("echo", []) == []
    with pytest.raises(InvalidInput):
        client.submit_many("count", [{"to": 1}, {"to": "many"}, {"to": 3}])
    assert count(client) == 0


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://nowhere.invalid:6379/0"])
def test_without_redis_a_task_is_accepted_and_soon(client: AgentTasks, url: str) -> None:
    with_dead = AgentTasks(client.settings.model_copy(update={"redis_url": url}))
    with_dead.submit("echo")
    began = time.monotonic()
    for _ in range(5):
        with_dead.submit("echo")
    with_dead.submit_many("echo", [{}] * 100)
    assert time.monotonic() - began < 20  # each wait for Redis is bounded, and there is one
    assert with_dead.submit("echo").stored().status == "pending"
    assert count(client) == 107
    with_dead.close()


BAD: dict[str, tuple[Callable[[AgentTasks], Any], str]] = {
    "missing": (lambda c: c.submit("submit_typed", {}), "topic"),
    "wrong type": (lambda c: c.submit("submit_typed", {"topic": 7}), "topic"),
    "unknown argument": (lambda c: c.submit("count", {"to": 1, "top": 2}), "top"),
    "no mapping": (lambda c: c.submit("echo", [1]), "input"),
    "text": (lambda c: c.submit("echo", "value"), "input"),
    "keys that are no names": (lambda c: c.submit("echo", {1: 2}), "input"),
    "not a number": (lambda c: c.submit("echo", {"value": [math.nan]}), "input.value[0]"),
    "infinity": (lambda c: c.submit("submit_typed", {"topic": "t", "more": math.inf}), "input.more"),
    "NUL": (lambda c: c.submit("submit_typed", {"topic": "a\x00b"}), "input.topic"),
    "lone surrogate": (lambda c: c.submit("submit_typed", {"topic": "\ud800"}), "input.topic"),
    "no JSON form": (lambda c: c.submit("echo", {"value": object()}), "input.value"),
    "context": (lambda c: c.submit("submit_typed", {"topic": "t", "ctx": 1}), "ctx"),
    "budget": (lambda c: c.submit("echo", budget={"tokens": -1}), "budget"),  # type: ignore[arg-type]
    "identity": (lambda c: c.submit("echo", identity={"subject": "ana"}), "identity"),  # type: ignore[arg-type]
    "NUL in an identity": (lambda c: c.submit("echo", identity=Identity(subject="a\x00")), "identity.subject"),
    "NUL in a session": (lambda c: c.submit("echo", session_id="\x00"), "session_id"),
    "session": (lambda c: c.submit("echo", session_id=7), "session_id"),  # type: ignore[arg-type]
    "NUL in a queue": (lambda c: c.submit("echo", queue="\x00"), "queue"),
    "queue": (lambda c: c.submit("echo", queue=7), "queue"),  # type: ignore[arg-type]
    "metadata that is a list": (lambda c: c.submit("echo", metadata=[1]), "metadata"),  # type: ignore[arg-type]
    "metadata that is text": (lambda c: c.submit("echo", metadata="a"), "metadata"),  # type: ignore[arg-type]
    "metadata": (lambda c: c.submit("echo", metadata={"a": math.inf}), "metadata.a"),
    "callback": (lambda c: c.submit("echo", callback_url="http://169.254.169.254"), "callback_url"),
    "callback of many": (lambda c: c.submit_many("echo", [{}], callback_url="https://u@a.example"), "callback_url"),
    "callback of a schedule": (lambda c: c.schedule("echo", every=9, callback_url="a.example"), "callback_url"),
    **{
        f"priority {value!r}": (lambda c, v=value: c.submit("echo", priority=v), "priority")
        for value in (-1, 10, 5.0, True, "5", None)
    },
    **{
        f"ttl {value!r}": (lambda c, v=value: c.submit("echo", ttl=v), "ttl")
        for value in (0, -1, math.nan, math.inf, "5", True, 1e300)
    },
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name_before_anything_is_written(client: AgentTasks, name: str) -> None:
    submit, field = BAD[name]
    with pytest.raises(InvalidInput) as caught:
        submit(client)
    assert caught.value.details["field"] == field
    assert (count(client), rung(client)) == (0, 0)


@pytest.mark.parametrize("metadata", [{"at": datetime(2026, 1, 2, tzinfo=UTC)}, {"seen": {1}}, {"id": uuid4()}])
def test_metadata_is_stored_in_its_json_form(client: AgentTasks, metadata: dict[str, Any]) -> None:
    stored = client.submit("echo", metadata=metadata).stored().metadata
    assert stored is not None
    assert set(stored) == set(metadata)


def test_the_numbers_of_metadata_come_back_as_they_were(client: AgentTasks) -> None:
    stored = client.submit("echo", metadata={"large": 1e16, "whole": 10**20}).stored().metadata
    assert repr(stored) == repr({"large": 1e16, "whole": 10**20})


@pytest.mark.parametrize("what", ["input", "metadata", "session_id"])
def test_a_payload_over_the_limit_is_refused(client: AgentTasks, what: str) -> None:
    large = "x" * client.settings.payload_limit
    options = (
        {"input": {"value": large}} if what == "input" else {what: large if what == "session_id" else {"a": large}}
    )
    with pytest.raises(PayloadTooLarge) as caught:
        client.submit("echo", **options)
    assert caught.value.details["payload"] == what
    assert count(client) == 0


def test_a_payload_just_below_the_limit_is_accepted(client: AgentTasks) -> None:
    value = "é" * ((client.settings.payload_limit - len('{"value": ""}')) // 2)
    task = client.submit("echo", {"value": value})
    assert claimed(client, task.id).state == {"value": value}


def test_a_budget_in_round_floats_is_stored_as_the_whole_numbers_it_means(client: AgentTasks) -> None:
    task = client.submit("echo", budget=Budget(tokens=1e3, steps=5.0, calls=2.0))  # type: ignore[arg-type]
    assert task.stored().budget.limit == Budget(tokens=1000, steps=5, calls=2)


def test_the_largest_budget_that_is_allowed_can_be_stored(client: AgentTasks) -> None:
    budget = Budget(seconds=1e300, tokens=2**63 - 1, usd=1e300, steps=2**31 - 1, calls=2**31 - 1)
    assert client.submit("echo", budget=budget).stored().budget.limit == budget


def test_an_unknown_agent_is_refused_with_those_that_are_known(client: AgentTasks) -> None:
    with client.database.connection() as connection:
        definition = {"first_step": "begin", "budget": None, "sensitive": False, "queue": None, "ttl": None}
        register_agents(connection, {"elsewhere": definition})
    with pytest.raises(UnknownAgent, match="AGENT_TASKS_AGENTS") as caught:
        client.submit("nobody")
    assert {"echo", "elsewhere"} <= set(caught.value.details["known"])
    assert caught.value.details["agent"] == "nobody"


def test_an_agent_that_only_workers_have_takes_any_input_but_no_bad_json(client: AgentTasks) -> None:
    budget = {"tokens": 5}
    definition = {"first_step": "begin", "budget": budget, "sensitive": True, "queue": "far", "ttl": 7.0}
    with client.database.connection() as connection:
        register_agents(connection, {"elsewhere": definition})
    row = row_of(client, client.submit("elsewhere", {"any": [1]}).id)
    assert (row["step"], row["queue"], row["ttl_seconds"], row["sensitive"]) == ("begin", "far", 7, True)
    assert (row["input"], row["budget_tokens"]) == ({"any": [1]}, 5)
    with pytest.raises(InvalidInput):
        client.submit("elsewhere", {"any": math.nan})


def test_how_an_agent_that_only_workers_have_is_answered_is_known_by_its_registration(client: AgentTasks) -> None:
    old = {"first_step": "begin", "budget": None, "sensitive": False, "queue": None, "ttl": None}
    with client.database.connection() as connection:
        register_agents(connection, {"of_0_1_0": old, "auto": {**old, "mode": "auto", "mode_hints": ["plan"]}})
    target = client.find_target("auto")
    assert (target.mode, target.mode_hints) == ("auto", ["plan"])
    assert (client.find_target("of_0_1_0").mode, client.find_target("echo").mode) == ("async", "async")


@pytest.mark.parametrize("task_id", ["", "no id", 7, None, "0198c2f4", b"x"])
def test_what_is_no_task_id_is_not_found(client: AgentTasks, task_id: Any) -> None:
    with pytest.raises(TaskNotFound):
        client.get(task_id)


def test_a_task_that_never_was_is_not_found(client: AgentTasks) -> None:
    with pytest.raises(TaskNotFound, match="never existed"):
        client.get(uuid4())
