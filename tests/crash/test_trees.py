"""Trees that grow and join while they are cancelled or called in: nothing lives on below an end."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, TaskHandle, TaskSnapshot
from agent_tasks.store.database import Connection
from agent_tasks.transitions.call_in import call_in
from agent_tasks.transitions.checkpoint import Committed
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fan_out import fan_out
from tests import rows
from tests.agents_children import generations
from tests.conftest import Fleet
from tests.crash.test_fan_out import assert_tree_ran_once
from tests.database import claimed, fall_due
from tests.eventually import eventually

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
"""Each costs the second after which Postgres looks for them."""


def blocked(client: AgentTasks) -> bool:
    """Whether a session waits for another one's lock."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(rows.query(client, waiting))


def spawning(client: AgentTasks, connection: Connection, taken: Claim, children: int) -> list[UUID]:
    """The claimed step fans out; committed with `connection`."""
    target = client.find_target(generations)
    tasks = [client.new_task(target, {"depth": 0}, Budget()) for _ in range(children)]
    committed = Committed("remember", "{}", 0.0)
    options: dict[str, Any] = {"on_child_failure": "collect", "reserve_seconds": 0.0, "clamped": {}}
    _, spawned = fan_out(connection, taken, committed, tasks, ring_seconds=60, **options)
    return [row["id"] for row in spawned]


def count(client: AgentTasks, which: str, *values: Any) -> int:
    return rows.query(client, f"SELECT count(*) AS n FROM agent_tasks.tasks WHERE {which}", *values)[0]["n"]


def living(client: AgentTasks) -> list[dict[str, Any]]:
    return rows.query(client, "SELECT id, agent, depth, status FROM agent_tasks.tasks WHERE finished_at IS NULL")


@pytest.mark.parametrize("generations_below", [0, 1])
def test_children_that_are_committed_while_their_parents_tree_is_cancelled_end_with_it(
    client: AgentTasks, generations_below: int
) -> None:
    root = client.submit(generations, {"depth": 3})
    parent = root.id
    for _ in range(generations_below):
        with client.database.transaction() as connection:
            (parent,) = spawning(client, connection, claimed(client, parent), 1)
    taken = claimed(client, parent)
    with ThreadPoolExecutor(1) as threads:
        with client.database.transaction() as connection:
            spawning(client, connection, taken, 3)
            cancelling = threads.submit(root.cancel)
            eventually(lambda: blocked(client))
        assert cancelling.result(10).status == "cancelled"
    assert len(rows.query(client, "SELECT FROM agent_tasks.tasks")) == generations_below + 4
    assert living(client) == []


@pytest.mark.parametrize("generations_below", [0, 1])
def test_children_that_are_committed_while_their_parent_is_called_in_end_with_it(
    client: AgentTasks, generations_below: int
) -> None:
    root = client.submit(generations, {"depth": 3})
    with client.database.transaction() as connection:
        (parent,) = spawning(client, connection, claimed(client, root.id), 1)
    for _ in range(generations_below):
        with client.database.transaction() as connection:
            (parent,) = spawning(client, connection, claimed(client, parent), 1)
    taken = claimed(client, parent)
    fall_due(client, root.id)
    with ThreadPoolExecutor(1) as threads:
        with client.database.transaction() as connection:
            spawning(client, connection, taken, 3)
            calling = threads.submit(client.database.run, lambda c: call_in(c, limit=10, ring_seconds=60))
            eventually(lambda: blocked(client))
        calling.result(10)
    assert [(row["id"], row["status"]) for row in living(client)] == [(root.id, "pending")]


def test_nothing_lives_below_a_root_that_is_cancelled_while_its_tree_grows(fleet: Fleet) -> None:
    client = fleet.client
    for size in (1, 2, 3, 5, 9, 14, 20, 27, 35, 44, 54, 62):
        root = client.submit(generations, {"depth": 5})
        eventually(lambda root=root, size=size: count(client, "root_id = %s", root.id) >= size)
        assert root.cancel().status == "cancelled"
        found = rows.query(client, "SELECT DISTINCT status FROM agent_tasks.tasks WHERE root_id = %s", root.id)
        assert found == [{"status": "cancelled"}]
    assert client.submit("echo", {"value": 1}).result(timeout=30) == 1
    assert living(client) == []
    late = """
        SELECT FROM agent_tasks.events JOIN agent_tasks.tasks ON id = task_id
        WHERE type IN ('committed', 'claimed', 'spawned', 'joined') AND seq > (
            SELECT max(seq) FROM agent_tasks.events AS e WHERE e.task_id = id AND e.type = 'finished')
    """
    assert rows.query(client, late) == []


def test_of_a_cancel_and_a_completion_one_wins_and_everyone_sees_the_same(fleet: Fleet) -> None:
    client, observer = fleet.client, AgentTasks(fleet.settings)
    won: Counter[str] = Counter()
    steps, has_time = 2, False
    with ThreadPoolExecutor(40) as threads:
        for _ in range(8):
            tasks = client.submit_many("count", [{"to": steps}] * 20)
            waiting = [threads.submit(observer.get(task.id).wait, 30) for task in tasks]
            before = {"pending", "running"} if has_time else {"pending"}  # of the first; the others may be behind
            eventually(lambda tasks=tasks, before=before: tasks[0].stored().status not in before)
            cancelled = list(threads.map(lambda task: task.cancel("a race"), tasks))
            for task, said, seen in zip(tasks, cancelled, waiting, strict=True):
                assert_same_end(client, task, said, seen.result())
            winners = {said.status for said in cancelled}
            won.update(winners)
            if winners == {"completed"}:
                steps, has_time = steps * 4, False
            elif winners == {"cancelled"}:
                has_time = True
    observer.close()
    assert won.keys() == {"completed", "cancelled"}, "one side won every race: no race was run"


def assert_same_end(client: AgentTasks, task: TaskHandle, said: TaskSnapshot, seen: TaskSnapshot) -> None:
    """What the canceller was told, what the waiter saw, the row, the mirror and the history are one."""
    row = rows.task(client, task.id)
    (finished,) = rows.events(client, task.id, "finished")
    assert said.status == seen.status == row["status"] == finished["data"]["status"]
    assert said.version == seen.version == row["version"]
    assert client.get(task.id).look() == task.stored()
    assert (row["result"] is None) == (row["status"] == "cancelled")
    assert finished == rows.events(client, task.id)[-1]


def test_of_a_cancel_and_the_last_join_one_wins_for_the_whole_tree(fleet: Fleet, tmp_path: Path) -> None:
    client = fleet.client
    done = "parent_id = %s AND status = 'completed'"
    for ended in (0, 1, 3, 6, 9, 10, 11, 12, 12, 12):
        budget = Budget(seconds=60, tokens=1000, steps=100, calls=100)
        root = client.submit("family", {"folder": str(tmp_path), "members": 12}, budget=budget)
        eventually(lambda root=root, ended=ended: count(client, done, root.id) >= ended)
        said = root.cancel()
        assert_same_end(client, root, said, root.wait(timeout=30))
        tree = "SELECT * FROM agent_tasks.tasks WHERE root_id = %s AND finished_at IS NULL"
        assert rows.query(client, tree, root.id) == []
        if said.status == "completed":
            assert_tree_ran_once(client, root.id)
    assert rows.query(client, DEADLOCKS) == [{"deadlocks": 0}]


def test_children_whose_time_is_over_just_when_their_parents_call_them_in_hold_nobody_up(
    fleet: Fleet, tmp_path: Path
) -> None:
    child = {"agent": "held_member", "input": {"folder": str(tmp_path), "index": 0}}
    input = {"family": [child] * 8, "reserve": 4.0}
    roots = fleet.client.submit_many("foreman", [input] * 5, budget=Budget(seconds=6))
    for root in roots:
        snapshot = root.wait(timeout=30)
        assert snapshot.status == "partial", snapshot.error
        assert {outcome["status"] for outcome in snapshot.result} <= {"partial", "timeout"}
        assert snapshot.budget.spent.seconds <= 6
    assert rows.query(fleet.client, DEADLOCKS) == [{"deadlocks": 0}]
