"""Committing: a transition is all or nothing, is repeated where it met rivals, and only then is told of."""

import pytest

from agent_tasks import AgentTasks, ErrorInfo, ErrorType
from agent_tasks.doorbell.publisher import STOP_CHANNEL
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention
from agent_tasks.store.rows import Row
from agent_tasks.transitions.cancel import cancel
from tests.database import claimed, row_of
from tests.eventually import eventually

WHY = ErrorInfo(type=ErrorType.CANCELLED, message="because")
DEADLOCK = "DO $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = 'deadlock_detected'; END $$"


def test_a_transition_that_met_a_deadlock_is_run_again_and_told_of_once(client: AgentTasks) -> None:
    task_id = claimed(client).id
    heard: list[str | None] = []
    tries: list[int] = []

    def cancel_after_two_deadlocks(connection: Connection) -> list[Row]:
        rows = cancel(connection, task_id, WHY)
        tries.append(len(rows))
        if len(tries) < 3:
            connection.execute(DEADLOCK)
        return rows

    with client.notices.listening(STOP_CHANNEL, heard.append):
        eventually(lambda: heard)  # the subscription is confirmed
        heard.clear()
        (row,) = client.commit(cancel_after_two_deadlocks)
        eventually(lambda: heard)
    assert tries == [1, 1, 1]
    assert heard == [f"{task_id} {row['run']}"]
    assert row_of(client, task_id)["status"] == "cancelled"


def test_rivals_that_do_not_go_away_are_told_and_nothing_is_kept(client: AgentTasks) -> None:
    task_id = claimed(client).id
    tries: list[int] = []

    def never(connection: Connection) -> tuple[str, list[Row]]:
        tries.append(len(cancel(connection, task_id, WHY)))
        connection.execute(DEADLOCK)
        return "", []

    with pytest.raises(Contention):
        client.commit_for(never)
    assert tries == [1, 1, 1]
    assert row_of(client, task_id)["status"] == "running"


def test_of_a_transition_that_failed_nobody_is_told(client: AgentTasks) -> None:
    task_id = claimed(client).id
    published: list[list[Row]] = []
    client.publisher.publish = published.append  # type: ignore[method-assign, assignment]

    def fails(connection: Connection) -> list[Row]:
        cancel(connection, task_id, WHY)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.commit(fails)
    assert published == []
    assert row_of(client, task_id)["status"] == "running"
    assert client.commit_for(lambda c: ("answer", cancel(c, task_id, WHY))) == "answer"
    assert [[row["id"] for row in rows] for rows in published] == [[task_id]]
