"""Retention: finished tasks go after their time, a tree at once."""

from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks
from agent_tasks.transitions.purge import purge, purge_keys
from tests.database import adopt, query, submitted

DAY = 86_400.0


def finished(client: AgentTasks, days: float, *, acknowledged: bool = False, root: UUID | None = None, **options: Any):  # type: ignore[no-untyped-def]
    """A task that ended so many days ago."""
    task_id = submitted(client, **options)
    if root is not None:
        adopt(client, root, task_id)
    sql = """
        UPDATE tasks SET status = 'completed', due_at = NULL, finished_at = now() - make_interval(secs => %s),
            acknowledged_at = CASE WHEN %s THEN now() END WHERE id = %s
    """
    query(client, sql, days * DAY, acknowledged, task_id)
    return task_id


def purged(client: AgentTasks) -> int:
    """All batches of one round of the sweep, at a retention of seven days."""
    total = 0
    with client.database.connection() as connection:
        while moved := purge(connection, limit=2, seconds=7 * DAY):
            total += moved
    return total


def left(client: AgentTasks) -> set[UUID]:
    return {row["id"] for row in query(client, "SELECT id FROM tasks")}


def test_finished_tasks_go_after_their_retention_with_all_their_history(client: AgentTasks) -> None:
    finished(client, 8)
    young = finished(client, 6)
    assert purged(client) == 1
    assert left(client) == {young}
    assert query(client, "SELECT DISTINCT task_id FROM events") == [{"task_id": young}]


def test_acknowledged_ones_go_after_a_tenth_of_it(client: AgentTasks) -> None:
    finished(client, 1, acknowledged=True)
    kept = {finished(client, 0.5, acknowledged=True), finished(client, 1)}
    assert purged(client) == 1
    assert left(client) == kept


def test_what_has_not_ended_is_never_purged(client: AgentTasks) -> None:
    task_id = submitted(client)
    query(client, "UPDATE tasks SET created_at = now() - interval '1 year' WHERE id = %s", task_id)
    assert purged(client) == 0


def test_a_tree_with_a_living_child_stays(client: AgentTasks) -> None:
    root = finished(client, 8)
    adopt(client, root, submitted(client))
    finished(client, 8, root=root)
    assert purged(client) == 0


def test_a_finished_child_stays_as_long_as_its_root_lives(client: AgentTasks) -> None:
    root = submitted(client)
    child = finished(client, 30, root=root)
    assert purged(client) == 0
    assert left(client) == {root, child}


def test_a_tree_goes_as_a_whole(client: AgentTasks) -> None:
    root = finished(client, 8)
    for _ in range(5):
        finished(client, 9, root=root)
    assert purged(client) == 6


def test_a_tree_with_a_child_that_ended_lately_stays_as_a_whole(client: AgentTasks) -> None:
    root = finished(client, 8)
    child = finished(client, 1, root=root)
    purged(client)
    assert left(client) == {root, child}


def test_an_acknowledged_tree_leaves_no_children_behind(client: AgentTasks) -> None:
    root = finished(client, 1, acknowledged=True)
    child = finished(client, 1, root=root)
    purged(client)
    assert left(client) in (set(), {root, child})


def test_a_key_outlives_no_task_that_it_stands_for(client: AgentTasks) -> None:
    finished(client, 0.8, acknowledged=True, idempotency_key="k")
    purged(client)
    again = client.submit("echo", {"value": 1}, idempotency_key="k")
    assert again.stored().agent == "echo"


@pytest.mark.parametrize(("hours", "kept"), [(25, 0), (23, 1)])
def test_keys_go_when_their_time_is_over(client: AgentTasks, hours: int, kept: int) -> None:
    client.submit("echo", idempotency_key="k")
    query(client, "UPDATE idempotency_keys SET expires_at = expires_at - make_interval(hours => %s)", hours)
    with client.database.connection() as connection:
        assert purge_keys(connection, limit=10) == 1 - kept
    assert len(query(client, "SELECT FROM idempotency_keys")) == kept
