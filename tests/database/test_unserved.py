"""A task that no living worker takes says so wherever it is shown, with the reason, and stops saying so."""

import json
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from agent_tasks import AgentTasks, TaskHandle
from agent_tasks.cli.application import app
from agent_tasks.store.database import Connection
from agent_tasks.transitions.heartbeat import WorkerRecord, sign_off, sign_on
from tests.database import claimed, park, query
from tests.mirrors import mirror_of

REASONS = [
    ([], "no_worker", "agent-tasks worker"),
    ([("agents", ["count.up"])], "no_agent", "AGENT_TASKS_AGENTS"),
    ([("agents", ["approval.other"])], "no_step", "old one in was="),
    ([("gpu", ["approval.ask"])], "no_queue", "--queues agents"),
    ([("gpu", ["approval.ask"]), ("agents", ["count.up"])], "no_queue", "--queues agents"),
    ([("agents", ["approval.ask"]), ("gpu", [])], None, ""),
]


def alive(client: AgentTasks, name: str, queue: str, steps: list[str]) -> None:
    def beat(connection: Connection) -> None:
        sign_on(connection, WorkerRecord(name, "host", 1, (queue,), tuple(steps)), seconds=60)

    with client.database.connection() as connection:
        beat(connection)


def reason(found: Any) -> str | None:
    return None if found.unserved is None else str(found.unserved.reason)


def waited_long(client: AgentTasks, task_id: UUID) -> TaskHandle:
    """Submitted a minute ago: by now somebody should have taken it."""
    query(client, "UPDATE agent_tasks.tasks SET created_at = created_at - interval '1 minute' WHERE id = %s", task_id)
    client.redis.flushall()
    return client.get(task_id)


@pytest.mark.parametrize(("workers", "why", "to_do"), REASONS)
def test_a_task_that_no_worker_takes_says_why_and_what_to_do_wherever_it_is_shown(
    client: AgentTasks, workers: list[tuple[str, list[str]]], why: str | None, to_do: str
) -> None:
    for number, (queue, steps) in enumerate(workers):
        alive(client, f"w{number}", queue, steps)
    task = client.submit("approval")
    assert reason(task.stored()) == why
    assert reason(waited_long(client, task.id).snapshot()) == why
    assert [reason(found) for found in client.living()] == [why]
    assert reason(task.tree().snapshot) == why
    receipt = task.signal("approval", {"ok": True})
    assert reason(receipt) == why
    if receipt.unserved is not None:
        assert to_do in receipt.unserved.action


def test_a_worker_that_stopped_or_fell_silent_serves_nothing(client: AgentTasks) -> None:
    task = client.submit("approval")
    alive(client, "w", "agents", ["approval.ask"])
    assert task.stored().unserved is None
    query(client, "UPDATE agent_tasks.workers SET seen_at = seen_at - interval '1 hour'")
    assert reason(task.stored()) == "no_worker"
    alive(client, "w", "agents", ["approval.ask"])
    with client.database.connection() as connection:
        sign_off(connection, "w")
    assert reason(task.stored()) == "no_worker"


def test_a_waiting_task_speaks_of_the_step_that_comes_next(client: AgentTasks) -> None:
    task = client.submit("approval")
    alive(client, "w", "agents", ["approval.ask"])
    taken = claimed(client, task.id)
    with client.database.connection() as connection:
        park(connection, taken, "approval")
    assert reason(task.stored()) == "no_step"
    assert reason(task.signal("approval", {"ok": True})) == "no_step"


def test_what_has_just_been_submitted_is_given_time_and_what_ended_needs_no_worker(client: AgentTasks) -> None:
    task = client.submit("approval")
    assert task.snapshot().unserved is None
    task.cancel()
    assert waited_long(client, client.submit("approval").id).snapshot().unserved is not None
    assert task.stored().unserved is None


def test_the_mirror_does_not_keep_what_was_true_of_the_workers(client: AgentTasks) -> None:
    task = client.submit("approval")
    assert reason(task.stored()) == "no_worker"
    client.get(task.id)
    mirrored = mirror_of(client).get(task.id)
    assert mirrored is not None
    assert mirrored.unserved is None


def test_doctor_lists_each_step_that_no_living_worker_serves_also_of_tasks_that_wait(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", client.settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", client.settings.redis_url)
    alive(client, "w", "agents", ["approval.ask", "echo.echo"])
    client.submit("echo", {"value": 1})
    for _ in range(2):
        taken = claimed(client, client.submit("approval").id)
        with client.database.connection() as connection:
            park(connection, taken, "approval", on_timeout="late", timeout=60)
    assert found_by_doctor() == [
        "2 waiting tasks of approval.echo on queue agents: The workers' code of approval has no step echo.",
        "2 waiting tasks of approval.late on queue agents: The workers' code of approval has no step late.",
    ]
    query(client, "UPDATE agent_tasks.workers SET steps = '{approval.late,approval.echo}'")
    assert found_by_doctor() == ["1 pending task of echo.echo on queue agents: No worker has loaded the agent echo."]


def found_by_doctor() -> list[str]:
    checks = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["checks"]
    return sorted(check["found"] for check in checks if check["name"] == "tasks")
