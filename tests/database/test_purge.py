"""Retention: finished tasks go after their time, a tree at once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import Agent, AgentTasks, metrics
from agent_tasks.authoring import agent as agents
from agent_tasks.sweeps import retention
from agent_tasks.transitions.purge import purge, purge_keys
from tests.database import adopt, query, submitted
from tests.database.filling import fill
from tests.database.plans import watched

DAY = 86_400.0


def finished(
    client: AgentTasks,
    days: float,
    *,
    acknowledged: bool = False,
    root: UUID | None = None,
    agent: str = "echo",
    **options: Any,
) -> UUID:
    """A task that ended so many days ago."""
    task_id = client.submit(agent, {"value": 1} if agent == "echo" else {}, **options).id
    if root is not None:
        adopt(client, root, task_id)
    sql = """
        UPDATE agent_tasks.tasks
            SET status = 'completed', due_at = NULL, finished_at = now() - make_interval(secs => %s),
            acknowledged_at = CASE WHEN %s THEN now() END WHERE id = %s
    """
    query(client, sql, days * DAY, acknowledged, task_id)
    return task_id


def purged(client: AgentTasks) -> int:
    """All batches of one round of the sweep, at a retention of seven days."""
    with client.database.connection() as connection:
        return purge(connection, limit=2, seconds=7 * DAY).total()


def left(client: AgentTasks) -> set[UUID]:
    return {row["id"] for row in query(client, "SELECT id FROM agent_tasks.tasks")}


def test_finished_tasks_go_after_their_retention_with_all_their_history(client: AgentTasks) -> None:
    finished(client, 8)
    young = finished(client, 6)
    assert purged(client) == 1
    assert left(client) == {young}
    assert query(client, "SELECT DISTINCT task_id FROM agent_tasks.events") == [{"task_id": young}]


def test_acknowledged_ones_go_after_a_tenth_of_it(client: AgentTasks) -> None:
    finished(client, 1, acknowledged=True)
    kept = {finished(client, 0.5, acknowledged=True), finished(client, 1)}
    assert purged(client) == 1
    assert left(client) == kept


def test_what_has_not_ended_is_never_purged(client: AgentTasks) -> None:
    task_id = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET created_at = now() - interval '1 year' WHERE id = %s", task_id)
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
    query(client, "UPDATE agent_tasks.idempotency_keys SET expires_at = expires_at - make_interval(hours => %s)", hours)
    with client.database.connection() as connection:
        assert purge_keys(connection, limit=10) == 1 - kept
    assert len(query(client, "SELECT FROM agent_tasks.idempotency_keys")) == kept


def test_an_agent_has_a_retention_of_its_own(client: AgentTasks) -> None:
    short = Agent("fleeting", retention=timedelta(days=1))
    short.step(lambda ctx: None, name="only")
    long = Agent("lasting", retention=30 * DAY)
    long.step(lambda ctx: None, name="only")
    try:
        gone = finished(client, 1.1, agent="fleeting"), finished(client, 0.2, agent="fleeting", acknowledged=True)
        kept = {
            finished(client, 0.9, agent="fleeting"), finished(client, 29, agent="lasting"), finished(client, 6),
            finished(client, 2.9, agent="lasting", acknowledged=True),
        }  # fmt: skip
        old = finished(client, 31, agent="lasting"), finished(client, 8)
    finally:
        for agent in (short, long):
            agents._registry.pop(agent.name)
    assert purged(client) == len(gone) + len(old)
    assert left(client) == kept


def test_a_tree_is_kept_as_long_as_its_roots_agent_says(client: AgentTasks) -> None:
    root = finished(client, 2)
    child = finished(client, 2, root=root)
    query(client, "UPDATE agent_tasks.tasks SET retention_seconds = %s WHERE id = %s", DAY, submitted(client))
    assert purged(client) == 0
    assert {root, child} <= left(client)


def test_what_nobody_acknowledged_can_be_kept(client: AgentTasks) -> None:
    unread, read = finished(client, 100), finished(client, 100, acknowledged=True)
    settings = client.settings.model_copy(update={"keep_unacknowledged": True})
    retention.run_once(AgentTasks(settings))
    assert left(client) == {unread}
    client.get(unread).acknowledge()
    retention.run_once(AgentTasks(settings))
    assert left(client) == set()
    assert read != unread


def test_what_is_removed_is_counted(client: AgentTasks) -> None:
    def counted() -> float:
        return metrics.PURGED.labels("echo", "completed")._value.get()

    before = counted()
    root = finished(client, 8)
    finished(client, 8, root=root)
    finished(client, 1)
    assert retention.run_once(client) == 2
    assert counted() == before + 2


def test_trees_that_may_not_go_yet_do_not_keep_those_after_them(client: AgentTasks) -> None:
    for _ in range(5):
        adopt(client, finished(client, 20), submitted(client))
    gone = finished(client, 8)
    assert purged(client) == 1
    assert gone not in left(client)


def test_a_tree_of_which_a_task_is_locked_stays_until_the_next_time(client: AgentTasks) -> None:
    """Whoever resumes a task locks it, and is not waited for."""
    root = finished(client, 8)
    child = finished(client, 8, root=root)
    other = finished(client, 8)
    with client.database.transaction() as connection:
        connection.execute("SELECT FROM agent_tasks.tasks WHERE id = %s FOR KEY SHARE", [child])
        assert purged(client) == 1
        assert left(client) == {root, child}
    assert purged(client) == 2
    assert other != root


def test_retention_with_nothing_to_delete_costs_nothing(client: AgentTasks) -> None:
    fill(client, 20_000, children=10)
    query(client, "ANALYZE")
    with watched(buffers=40) as seen:
        assert retention.run_once(client) == 0
    assert not seen.faults, seen.story
