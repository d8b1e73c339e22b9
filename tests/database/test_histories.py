"""Histories: single stories of a task, told to their end; what holds in all of them is in test_state_machine."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent_tasks import AgentTasks
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.release import release
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.wake import wake
from tests.database import claimed, commit, emit, fall_due, lapse, row_of, submitted, swept
from tests.database.children import BROKEN, broken, done, end, types_of

THEN: dict[str, Callable[[AgentTasks, Claim], Any]] = {
    "expire": lambda client, taken: swept(client),
    "claim": lambda client, taken: claimed(client, taken.id),
    "release": lambda client, taken: give_back(client, taken),
    "cancel": lambda client, taken: client.get(taken.id).cancel(),
    "fail": lambda client, taken: end(client, taken, broken),
}


def give_back(client: AgentTasks, taken: Claim) -> None:
    with client.database.connection() as connection:
        release(connection, [(taken.id, taken.run)], ring_seconds=60)


@pytest.mark.parametrize("then", THEN)
def test_a_worker_that_overslept_its_lease_and_went_on_gives_no_time_back(client: AgentTasks, then: str) -> None:
    taken = claimed(client)
    lapse(client, taken.id)
    with client.database.connection() as connection:
        row = commit(connection, taken, in_place=True)
    before = row_of(client, taken.id)["spent_seconds"]
    THEN[then](client, replace(taken, step_number=row["step_number"]))
    assert row_of(client, taken.id)["spent_seconds"] >= before >= 10


def test_the_events_of_a_task_tell_its_story(client: AgentTasks) -> None:
    task_id = submitted(client)
    taken = claimed(client, task_id)
    with client.database.connection() as connection:
        emit(connection, taken)
        retry(connection, taken, BROKEN, 60.0, progress=None)
        fall_due(client, task_id)
        wake(connection, limit=9, ring_seconds=60)
        commit(connection, claimed(client, task_id))
    claimed(client, task_id)
    lapse(client, task_id)
    swept(client)
    end(client, claimed(client, task_id), done)
    assert types_of(client, task_id) == [
        "submitted", "dispatched", "claimed", "found", "retried", "dispatched", "claimed", "committed", "dispatched",
        "claimed", "expired", "dispatched", "claimed", "committed", "finished",
    ]  # fmt: skip
