"""Each statement finds its rows by an index, at any size of the tables, whatever the planner knows of them."""

import pytest

from agent_tasks import AgentTasks
from agent_tasks.store.queries import read
from tests.database import claimed, query
from tests.database.everything import everything
from tests.database.filling import fill, largest_parent
from tests.database.plans import sites, watched

SMALL, LARGE_SIZE = (20_000, 3_000), (300_000, 10_000)
FEW_PAGES = 5_000
"""More than any statement reads for a batch of a sweep, and less than a table of the larger size has."""
_OVERVIEW = (
    "counts", "pending_steps", "failures", "failures_by_status", "ends", "submits", "spent", "held", "open_tasks",
)  # fmt: skip
WHOLE = {
    "agent_tasks/store/queries/living.py: _streamed",
    *(f"agent_tasks/store/queries/overview.py: {name}" for name in _OVERVIEW),
    *(f"agent_tasks/store/queries/backlog.py: {name}" for name in ("living", "deliveries", "sweep_lag", "connections")),
}
"""Those that read every living task: for `agent-tasks check`, by a cursor on the server, which is not looked at; for
/metrics, up to 100,000 of a kind every few seconds; for the console's first page, up to 20,000 of a state,
or of the day's charges."""


@pytest.mark.parametrize("size", [SMALL, pytest.param(LARGE_SIZE, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_no_statement_reads_a_whole_table_or_index(client: AgentTasks, size: tuple[int, int]) -> None:
    fill(client, size[0], children=size[1])
    with watched(buffers=FEW_PAGES) as before:
        everything(client)
    query(client, "ANALYZE")
    with watched(buffers=FEW_PAGES) as after:
        everything(client)
    assert not before.faults, before.story
    assert not after.faults, after.story
    assert sites() - before.sites == WHOLE, "statements that `everything` does not execute"


def test_the_sweeps_look_by_the_index_after_all_that_was_pending_has_been_due(client: AgentTasks) -> None:
    """The planner goes on by statistics of the backlog when it is gone, until the table is analyzed again."""
    client.submit_many("echo", [{}] * 2_000)
    query(client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp()")
    query(client, "ANALYZE agent_tasks.tasks")
    with watched(buffers=None) as backlog, client.database.connection() as connection:
        assert read.due(connection) == {"bells"}
    assert not backlog.faults, backlog.story
    query(client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() + interval '1 day'")
    with watched(buffers=None) as gone, client.database.connection() as connection:
        assert read.due(connection) == set()
    assert not gone.faults, gone.story


@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_the_cancel_of_one_task_reads_a_few_pages_beside_many(client: AgentTasks, rows: int) -> None:
    fill(client, rows, children=3_000)
    for analyzed in (False, True):
        if analyzed:
            query(client, "ANALYZE")
        one = claimed(client)
        with watched(buffers=60) as seen:
            client.get(one.id).cancel()
        assert not seen.faults, seen.story
        assert seen.pages < 200


@pytest.mark.slow
def test_the_cancel_of_very_many_children_reads_a_few_pages_for_each(client: AgentTasks) -> None:
    """Before the tables are analyzed the planner takes any parent to have few children, and must not go wrong by it."""
    children = 10_000
    fill(client, 20_000, children=2 * children)
    parent, living = largest_parent(client)
    assert living == children
    with watched(buffers=100 * children) as seen:
        client.get(parent).cancel()
    assert not seen.faults, seen.story
    assert query(
        client, "SELECT count(*) AS n FROM agent_tasks.tasks WHERE status = 'cancelled' AND parent_id = %s", parent
    ) == [{"n": children}]


WRONG = (
    "SELECT id FROM agent_tasks.tasks WHERE spent_usd = 7",
    "SELECT count(*) FROM agent_tasks.events JOIN agent_tasks.tasks ON id = task_id WHERE seq = 5",
    "UPDATE agent_tasks.tasks SET progress = NULL WHERE id IN (SELECT task_id FROM agent_tasks.signals "
    "WHERE name = 'nobody')",
    "SELECT id FROM agent_tasks.tasks WHERE parent_id IS NOT NULL AND child_index = 70000",
)


def test_a_statement_that_does_is_found_out(client: AgentTasks) -> None:
    fill(client, 20_000, children=3_000)
    for analyzed in (False, True):
        if analyzed:
            query(client, "ANALYZE")
        for statement in WRONG:
            with watched(buffers=FEW_PAGES) as seen, client.database.connection() as connection:
                connection.execute(statement, {})  # type: ignore[arg-type]
            assert seen.faults != {}, f"{statement}, analyzed: {analyzed}"
