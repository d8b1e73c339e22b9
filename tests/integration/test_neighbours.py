"""Whatever a step does in Python, it is that step alone which fails: its neighbours and its worker go on."""

import os
from collections.abc import Iterator

import pytest

from agent_tasks.client.handle import TaskHandle
from tests import rows
from tests.agents import notes
from tests.agents_neighbours import RAISED
from tests.conftest import Fleet
from tests.eventually import eventually

ASYNC = ["step", "call", "plain_call", "gathered_calls", "gathered_plain_calls", "task_group", "thread"]
PLAIN = ["step", "call", "plain_call"]


@pytest.fixture(scope="module")
def neighbour(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskHandle]:
    """An async step that waits in the same worker all the while, and has been tried once when it ends."""
    folder = tmp_path_factory.mktemp("neighbour")
    task = fleet.client.submit("patient", {"folder": str(folder)})
    eventually(lambda: notes(folder))
    yield task
    (folder / "go").touch()
    assert task.result(timeout=30) == "done"
    assert rows.runs(fleet.client, task.id) == [1]
    assert fleet.worker.is_alive


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("where", ASYNC)
def test_whatever_an_async_step_raises_wherever_fails_that_step_alone(
    fleet: Fleet, neighbour: TaskHandle, kind: str, where: str
) -> None:
    snapshot = fleet.client.submit("raises", {"kind": kind, "where": where}).wait(timeout=30)
    assert snapshot.status == "failed"
    assert snapshot.error is not None
    assert snapshot.error.type == "step_failed"
    if (where, kind) != ("task_group", "cancelled"):  # which a TaskGroup passes over
        assert "was not raised" not in snapshot.error.message
    assert fleet.client.submit("quick_plain_call").wait(timeout=30).status == "completed"
    assert neighbour.stored().status == "running"


@pytest.mark.parametrize("kind", RAISED)
@pytest.mark.parametrize("where", PLAIN)
def test_whatever_a_plain_step_raises_wherever_fails_that_step_alone(
    fleet: Fleet, neighbour: TaskHandle, kind: str, where: str
) -> None:
    snapshot = fleet.client.submit("raises_plain", {"kind": kind, "where": where}).wait(timeout=30)
    assert snapshot.status == "failed"
    assert snapshot.error is not None
    assert snapshot.error.type == "step_failed"
    assert "was not raised" not in snapshot.error.message
    assert neighbour.stored().status == "running"


@pytest.mark.parametrize("kind", ["stop_the_loop", "threads", "exit", "interrupt", "unspeakable", "base"])
def test_what_a_step_leaves_behind_on_the_loop_ends_nothing_but_itself(
    fleet: Fleet, neighbour: TaskHandle, kind: str
) -> None:
    assert fleet.client.submit("leaves_behind", {"kind": kind}).result(timeout=30) == kind
    assert fleet.client.submit("count", {"to": 3}).result(timeout=30) == 3
    assert neighbour.stored().status == "running"


@pytest.mark.parametrize("agent", ["changes", "changes_async"])
def test_what_a_step_sets_in_its_context_is_gone_with_it(fleet: Fleet, agent: str) -> None:
    """On 4 slots, 12 tasks of 4 steps come to each thread many times."""
    tasks = fleet.client.submit_many(agent, [{"steps": 3}] * 12)
    for task in tasks:
        found = task.result(timeout=30)
        assert found == [["nobody", 28], ["acme", 3]] * 4


@pytest.mark.parametrize("how", ["wait", "result", "follow"])
def test_a_step_that_would_block_the_loop_by_waiting_for_a_task_is_told_what_to_do(fleet: Fleet, how: str) -> None:
    snapshot = fleet.client.submit("waits_for_a_task", {"how": how}).wait(timeout=30)
    assert snapshot.error is not None
    assert snapshot.error.details["exception"] == "RuntimeError"
    assert all(word in snapshot.error.message for word in ("event loop", "agent_tasks.aio", "FanOut", "Wait"))


@pytest.mark.parametrize("how", ["thread", "call"])
def test_a_step_may_wait_for_a_task_in_a_thread(fleet: Fleet, how: str) -> None:
    assert fleet.client.submit("waits_for_a_task", {"how": how}).result(timeout=30) == 1


@pytest.mark.parametrize("operation", ["call", "charge"])
def test_a_plain_steps_context_is_refused_on_the_loop(fleet: Fleet, operation: str) -> None:
    snapshot = fleet.client.submit("misuses_its_context", {"operation": operation}).wait(timeout=30)
    assert snapshot.error is not None
    assert snapshot.error.details["exception"] == "RuntimeError"
    assert f"ctx.{operation}" in snapshot.error.message


@pytest.mark.parametrize(("kind", "exception"), [("key", "KeyError"), ("exit", "SystemExit"), ("odd", "Unspeakable")])
@pytest.mark.parametrize("at", ["the first step", "a hop"])
def test_what_a_users_validator_raises_fails_the_step_with_its_traceback(
    fleet: Fleet, kind: str, exception: str, at: str
) -> None:
    first, then = (kind, "no") if at == "the first step" else ("no", kind)
    task = fleet.client.submit("odd_input", {"item": {"pid": os.getpid(), "kind": first}, "then": then})
    snapshot = task.wait(timeout=30)
    assert snapshot.error is not None
    assert (snapshot.error.type, snapshot.error.details["exception"]) == ("step_failed", exception)
    assert "in check" in rows.task(fleet.client, task.id)["traceback"]
    assert snapshot.attempt == 1
    assert not rows.events(fleet.client, task.id, "expired")
