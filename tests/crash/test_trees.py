"""Trees that grow while they are cancelled, run out of time or lose their worker: nothing lives on below an end."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget
from agent_tasks.database import Connection
from agent_tasks.transitions.call_in import call_in
from agent_tasks.transitions.checkpoint import Committed
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fan_out import fan_out
from tests import agents_family, rows
from tests.conftest import Fleet
from tests.crash.test_fan_out import assert_tree_ran_once
from tests.database import claimed, query, row_of
from tests.eventually import eventually

assert agents_family


def blocked(client: AgentTasks) -> bool:
    """Whether a session waits for another one's lock."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(rows.query(client, waiting))


def spawning(client: AgentTasks, connection: Connection, taken: Claim, children: int) -> list[UUID]:
    """The claimed step fans out; committed with `connection`."""
    target = client.find_target("generations")
    family = [client.new_task(target, {"depth": 0}, Budget()) for _ in range(children)]
    committed = Committed("remember", "{}", 0.0)
    options: dict[str, Any] = {"on_child_failure": "collect", "reserve_seconds": 0.0, "clamped": {}}
    _, spawned = fan_out(connection, taken, committed, family, ring_seconds=60, **options)
    return [row["id"] for row in spawned]


def living(client: AgentTasks) -> list[dict[str, Any]]:
    return query(client, "SELECT id, agent, depth, status FROM tasks WHERE finished_at IS NULL")


@pytest.mark.parametrize("generations_below", [0, 1])
def test_children_that_are_committed_while_their_parents_tree_is_cancelled_end_with_it(
    client: AgentTasks, generations_below: int
) -> None:
    root = client.submit("generations", {"depth": 3})
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
    assert len(query(client, "SELECT FROM tasks")) == generations_below + 4
    assert living(client) == []
