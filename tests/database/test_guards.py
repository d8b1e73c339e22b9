"""What the database refuses to plain SQL, whoever writes it."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from agent_tasks import AgentTasks
from agent_tasks.task.status import TERMINAL
from agent_tasks.transitions.complete import Finish
from tests.database import all_of, claimed, commit, query, row_of, submitted
from tests.database.single import complete

REFUSED = (psycopg.errors.IntegrityError, psycopg.errors.RaiseException)
CHANGES = {
    "status": "'pending'",
    "result": "'1'::jsonb",
    "error": "'{}'::jsonb",
    "partial": "'2'::jsonb",
    "input": "NULL",
    "step": "'other'",
    "step_number": "step_number + 1",
    "spent_usd": "spent_usd + 1",
    "spent_seconds": "0.5",
    "budget_tokens": "7",
    "finished_at": "NULL",
    "run": "run + 1",
    "event_seq": "event_seq + 1",
    "worker": "'w'",
    "progress": "'{}'::jsonb",
    "identity": """'{"subject": "eve"}'::jsonb""",
    "tenant": "'other'",
    "parent_id": "id",
    "metadata": "'{}'::jsonb",
    "sensitive": "NOT sensitive",
}


def ended(client: AgentTasks, status: str, *, sensitive: bool = False) -> UUID:
    """A task that plain SQL ended as `status`."""
    task_id = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET sensitive = %s WHERE id = %s", sensitive, task_id)
    error = None if status == "completed" else json.dumps({"type": "cancelled", "message": "m"})
    sql = (
        "UPDATE agent_tasks.tasks SET status = %s, error = %s, finished_at = clock_timestamp(), due_at = NULL "
        "WHERE id = %s"
    )
    query(client, sql, status, error, task_id)
    return task_id


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_task_that_has_ended_does_not_change_any_more(client: AgentTasks, status: str) -> None:
    task_id = ended(client, status)
    before = all_of(client, task_id)
    for column, value in CHANGES.items():
        with pytest.raises(REFUSED, match="does not change"):
            query(client, f"UPDATE agent_tasks.tasks SET {column} = {value} WHERE id = %s", task_id)
        with pytest.raises(REFUSED):
            query(
                client,
                f"UPDATE agent_tasks.tasks SET {column} = {value}, acknowledged_at = now() WHERE id = %s",
                task_id,
            )
    with pytest.raises(REFUSED):
        query(
            client, "UPDATE agent_tasks.tasks SET version = version - 1, acknowledged_at = now() WHERE id = %s", task_id
        )
    for other in sorted(TERMINAL - {status}):
        with pytest.raises(REFUSED):
            query(client, "UPDATE agent_tasks.tasks SET status = %s WHERE id = %s", other, task_id)
    assert all_of(client, task_id) == before


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_has_ended_is_acknowledged_once(client: AgentTasks, status: str) -> None:
    task_id = ended(client, status)
    query(client, "UPDATE agent_tasks.tasks SET acknowledged_at = clock_timestamp() WHERE id = %s", task_id)
    for value in ("clock_timestamp()", "NULL"):
        with pytest.raises(REFUSED):
            query(client, f"UPDATE agent_tasks.tasks SET acknowledged_at = {value} WHERE id = %s", task_id)


@pytest.mark.parametrize("column", ["version", "run", "event_seq", "step_number"])
def test_what_only_grows_never_goes_back(client: AgentTasks, column: str) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        commit(connection, taken, in_place=True)
    with pytest.raises(REFUSED, match="only grow"):
        query(client, f"UPDATE agent_tasks.tasks SET {column} = {column} - 1 WHERE id = %s", taken.id)


@pytest.mark.parametrize(
    "change",
    [
        "status = 'done'",
        "status = 'waiting'",
        "status = 'running'",
        "status = 'running', worker = 'w', due_at = NULL",
        "due_at = NULL",
        "waiting_for = '{}'",
        "status = 'completed'",
        "finished_at = now()",
        "acknowledged_at = now()",
        "status = 'completed', finished_at = now(), error = '{}'",
        *(f"status = '{status}', finished_at = now()" for status in sorted(TERMINAL - {"completed"})),
        "children_left = -1",
        *(f"reserved_{name} = -1" for name in ("tokens", "usd", "steps", "calls")),
        "spent_seconds = -0.001",
        "parent_id = id",
        "parent_step = 0",
        "undo_step = 0",
        """ending = '{"status": "failed"}'""",
        "status = NULL",
        "root_id = NULL",
        "ttl_seconds = NULL",
    ],
)
def test_a_state_that_contradicts_itself_is_refused(client: AgentTasks, change: str) -> None:
    task_id = submitted(client)
    before = row_of(client, task_id)
    with pytest.raises(REFUSED):
        query(client, f"UPDATE agent_tasks.tasks SET {change} WHERE id = %s", task_id)
    assert row_of(client, task_id) == before


@pytest.mark.parametrize(
    "change", ["seq = seq + 10", "type = 'other'", "data = NULL", "at = now()", "task_id = gen_random_uuid()"]
)
def test_events_are_not_rewritten(client: AgentTasks, change: str) -> None:
    task_id = submitted(client)
    with pytest.raises(REFUSED, match="append-only"):
        query(client, f"UPDATE agent_tasks.events SET {change} WHERE task_id = %s AND seq = 1", task_id)


def test_an_event_of_the_same_number_is_refused(client: AgentTasks) -> None:
    with pytest.raises(REFUSED):
        query(client, "INSERT INTO agent_tasks.events (task_id, seq, type) VALUES (%s, 1, 'again')", submitted(client))


REWRITES = ["step = 'other'", "step_number = step_number + 5", "run = 99", "seconds = 0.5", "committed_at = now()"]


@pytest.mark.parametrize("change", [*REWRITES, "next_step = 'other'", "state = '{}'", "state = NULL, run = 99"])
def test_a_checkpoint_is_not_rewritten(client: AgentTasks, change: str) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        commit(connection, taken, "echo", '{"a": 1}', seconds=1)
    with pytest.raises(REFUSED, match="append-only"):
        query(client, f"UPDATE agent_tasks.checkpoints SET {change} WHERE task_id = %s", taken.id)


@pytest.mark.parametrize("change", [*REWRITES, "next_step = 'other'", "state = '{}'"])
def test_the_checkpoint_of_the_last_step_is_not_rewritten(client: AgentTasks, change: str) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        complete(connection, Finish(taken, "1", 1))
    with pytest.raises(REFUSED, match="append-only"):
        query(client, f"UPDATE agent_tasks.checkpoints SET {change} WHERE task_id = %s", taken.id)


def test_the_state_of_a_checkpoint_can_be_purged(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        commit(connection, taken, "echo", '{"a": 1}', seconds=1)
    query(client, "UPDATE agent_tasks.checkpoints SET state = NULL WHERE task_id = %s", taken.id)
    assert all_of(client, taken.id)["checkpoints"][0]["state"] is None


@pytest.mark.parametrize("acknowledged", [False, True])
def test_the_input_of_a_sensitive_task_can_be_purged_after_its_end_and_nothing_else(
    client: AgentTasks, acknowledged: bool
) -> None:
    task_id = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET sensitive = true WHERE id = %s", task_id)
    sql = (
        "UPDATE agent_tasks.tasks "
        "SET status = 'completed', finished_at = now(), acknowledged_at = %s, due_at = NULL WHERE id = %s"
    )
    query(client, sql, datetime.now(UTC) if acknowledged else None, task_id)
    for change in (
        "input = '{}'::jsonb",
        "input = NULL, result = '1'::jsonb",
        "input = NULL, sensitive = false",
        "input = NULL, session_id = 'other'",
        "metadata = '{}'::jsonb",
        """error = '{"type": "cancelled", "details": {"purged": true}}'::jsonb""",
    ):
        with pytest.raises(REFUSED):
            query(client, f"UPDATE agent_tasks.tasks SET {change} WHERE id = %s", task_id)
    query(client, "UPDATE agent_tasks.tasks SET input = NULL WHERE id = %s", task_id)
    query(client, "UPDATE agent_tasks.tasks SET result = NULL, metadata = NULL, progress = NULL WHERE id = %s", task_id)
    row = row_of(client, task_id)
    assert [row[name] for name in ("input", "result", "metadata", "progress")] == [None] * 4


def test_the_error_of_a_sensitive_task_may_give_way_to_word_of_its_purge(client: AgentTasks) -> None:
    task_id = ended(client, "cancelled", sensitive=True)
    for error in ('{"type": "cancelled"}', '{"type": "poison", "details": {"purged": true}}'):
        with pytest.raises(REFUSED, match="does not change"):
            query(client, "UPDATE agent_tasks.tasks SET error = %s WHERE id = %s", error, task_id)
    purged = '{"type": "cancelled", "details": {"purged": true}}'
    query(client, "UPDATE agent_tasks.tasks SET error = %s WHERE id = %s", purged, task_id)


def test_the_history_of_a_sensitive_task_can_be_purged_and_not_rewritten(client: AgentTasks) -> None:
    task_id = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET sensitive = true WHERE id = %s", task_id)
    for change in ("data = '{}'", "data = NULL, type = 'other'", "seq = seq + 10"):
        with pytest.raises(REFUSED, match="append-only"):
            query(client, f"UPDATE agent_tasks.events SET {change} WHERE task_id = %s AND seq = 1", task_id)
    query(client, "UPDATE agent_tasks.events SET data = NULL WHERE task_id = %s AND seq = 1", task_id)


@pytest.mark.parametrize("table", ["checkpoints", "calls", "events"])
def test_there_is_no_history_without_a_task(client: AgentTasks, table: str) -> None:
    columns: dict[str, dict[str, Any]] = {
        "checkpoints": {"step_number": 0, "step": "s", "run": 1, "seconds": 1},
        "calls": {"step_number": 0, "ordinal": 0, "name": "n", "status": "started", "at_most_once": False,
                  "idempotency_key": "k", "run": 1},
        "events": {"seq": 1, "type": "t"},
    }  # fmt: skip
    values = columns[table]
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    sql = f"INSERT INTO agent_tasks.{table} (task_id, {names}) VALUES (gen_random_uuid(), {places})"
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        query(client, sql, *values.values())


@pytest.mark.parametrize(("cron", "every"), [(None, None), ("* * * * *", 60)])
def test_a_schedule_has_one_rhythm(client: AgentTasks, cron: str | None, every: float | None) -> None:
    sql = """
        INSERT INTO agent_tasks.schedules (name, agent, input, options, cron, every_seconds, timezone, next_at)
        VALUES ('s', 'echo', '{}', '{}', %s, %s, 'UTC', now())
    """
    with pytest.raises(REFUSED):
        query(client, sql, cron, every)


def test_a_signal_id_is_in_the_inbox_of_a_task_once_whoever_puts_it_there(client: AgentTasks) -> None:
    first, second = submitted(client), submitted(client)
    sql = "INSERT INTO agent_tasks.signals (task_id, name, signal_id) VALUES (%s, %s, %s)"
    for task_id in (first, second):
        query(client, sql, task_id, "approval", "one")
        query(client, sql, task_id, "approval", None)
        query(client, sql, task_id, "approval", None)
    with pytest.raises(psycopg.errors.UniqueViolation):
        query(client, sql, first, "payment", "one")


def test_a_task_that_undoes_says_what_it_will_end_with(client: AgentTasks) -> None:
    task_id = submitted(client)
    query(
        client, """UPDATE agent_tasks.tasks SET undo_step = 0, ending = '{"status": "failed"}' WHERE id = %s""", task_id
    )
    for change in ("undo_step = NULL", "ending = NULL"):
        with pytest.raises(REFUSED):
            query(client, f"UPDATE agent_tasks.tasks SET {change} WHERE id = %s", task_id)
