"""A row that somebody else has locked: only what needs that row waits for it."""

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.transitions.checkpoint import Committed, StepCommit
from agent_tasks.transitions.claim import Claim, Wanted
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.ledger import CallBegin
from agent_tasks.transitions.release import release
from tests.database import BLOCKED, claimed, query, row_of, submitted
from tests.database.children import spawn

Ask = Callable[[Combiners, Claim], Any]
ASKS: dict[str, Ask] = {
    "checkpoint": lambda combiners, taken: combiners.checkpoint(StepCommit(taken, Committed("echo", "{}", 0), True)),
    "complete": lambda combiners, taken: combiners.complete(Finish(taken, "1", 0)),
    "begin a call": lambda combiners, taken: combiners.begin_call(CallBegin(taken, 0, "pay", "k", False)),
}
asks = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)


@contextmanager
def locked(client: AgentTasks, *ids: UUID) -> Generator[None]:
    """Somebody has these rows, and takes their time."""
    with client.database.transaction() as stranger:
        stranger.execute("SELECT FROM agent_tasks.tasks WHERE id = ANY (%s) FOR UPDATE", [list(ids)])
        yield


@contextmanager
def many() -> Generator[Callable[..., "Future[Any]"]]:
    with ThreadPoolExecutor(24) as threads:
        yield threads.submit


@asks
def test_what_is_asked_of_other_rows_is_done_at_once_and_the_rest_when_the_row_is_free(
    client: AgentTasks, ask: Ask
) -> None:
    combiners = Combiners(client, "w")
    busy, *free = (claimed(client) for _ in range(6))
    with many() as start:
        with locked(client, busy.id):
            waiting = start(ask, combiners, busy)
            for future in [start(ask, combiners, taken) for taken in free]:
                future.result(10)
            assert not query(client, BLOCKED)
            assert not waiting.done()
        waiting.result(10)
    assert row_of(client, busy.id)["version"] == row_of(client, free[0].id)["version"]


@asks
def test_more_locked_rows_than_there_are_connections_leave_connections_for_others(client: AgentTasks, ask: Ask) -> None:
    combiners = Combiners(client, "w")
    busy = [claimed(client) for _ in range(client.settings.pool_size + 4)]
    free = claimed(client)
    with many() as start:
        with locked(client, *(taken.id for taken in busy)):
            waiting = [start(ask, combiners, taken) for taken in busy]
            start(ask, combiners, free).result(10)
        for future in waiting:
            future.result(10)


def test_a_locked_parent_holds_up_its_own_tree_and_no_other(client: AgentTasks) -> None:
    combiners = Combiners(client, "w")
    trees = [claimed(client) for _ in range(3)]
    children = [[claimed(client, child) for child in spawn(client, parent, 3)] for parent in trees]

    def finish(child: Claim) -> Any:
        return combiners.complete_child(Finish(child, "1", 0))

    with many() as start:
        with locked(client, trees[0].id):
            waiting = [start(finish, child) for child in children[0]]
            for future in [start(finish, child) for tree in children[1:] for child in tree]:
                future.result(10)
            assert not any(future.done() for future in waiting)
        for future in waiting:
            future.result(10)
    for parent in trees:
        row = row_of(client, parent.id)
        assert (row["status"], row["children_left"]) == ("pending", 0)


def test_a_slot_does_not_wait_long_for_a_step_to_claim(client: AgentTasks) -> None:
    combiners = Combiners(client, "w")
    busy, free = submitted(client), submitted(client)
    with many() as start:
        with locked(client, busy):
            waiting = start(combiners.claim, Wanted(busy, "echo", 0))
            assert start(combiners.claim, Wanted(free, "echo", 0)).result(10).run == 1
            assert waiting.result(10) is None
        assert start(combiners.claim, Wanted(busy, "echo", 0)).result(10).run == 1


def test_a_claim_of_a_row_that_is_locked_for_a_moment_is_made_when_it_is_free(client: AgentTasks) -> None:
    combiners = Combiners(client, "w")
    task_id = submitted(client)
    with many() as start:
        with locked(client, task_id):
            waiting = start(combiners.claim, Wanted(task_id, "echo", 0))
        assert waiting.result(10).run == 1


def test_a_lease_of_a_locked_row_is_not_waited_for_when_all_are_given_back(client: AgentTasks) -> None:
    busy, free = claimed(client), claimed(client)
    with locked(client, busy.id), client.database.connection() as connection:
        rows = release(connection, [(busy.id, busy.run), (free.id, free.run)], ring_seconds=1)
    assert [row["id"] for row in rows] == [free.id]
    assert row_of(client, busy.id)["status"] == "running"
