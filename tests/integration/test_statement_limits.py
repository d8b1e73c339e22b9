"""Limits that Postgres sets to a statement: they end the step that is above them, and stop nothing else."""

import psycopg
import pytest

from agent_tasks import AgentTasks, StepFailed
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import ServerAway
from agent_tasks.sweeps.sweeper import Sweeper
from tests import rows
from tests.database import claimed, fall_due, lapse, row_of, submitted
from tests.processes import Processes

# What stands for a statement that takes too long or is too large: the row says which.
SLOW_OR_LARGE = """
    CREATE FUNCTION limits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        {body}
        RETURN new;
    END $$;
    CREATE TRIGGER limits BEFORE {event} ON agent_tasks.tasks FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION limits();
"""
TOO_LARGE = "RAISE EXCEPTION 'too many' USING ERRCODE = 'program_limit_exceeded';"
LIMITS = {"57014": "PERFORM pg_sleep(60);", "54000": TOO_LARGE}


def limit(client: AgentTasks, body: str, *, when: str, event: str = "INSERT") -> None:
    """Statements that write such a task are ended: after a `statement_timeout` of 0.3 s, where they are slow."""
    with psycopg.connect(client.settings.database_url, autocommit=True) as connection:
        connection.execute(SLOW_OR_LARGE.format(body=body, when=when, event=event).encode())
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET statement_timeout = '300ms'".encode())
    client.database.close()  # for new connections, which have the limit


@pytest.mark.parametrize("state", LIMITS)
def test_a_fan_out_above_a_limit_of_postgres_fails_its_task_once(
    client: AgentTasks, processes: Processes, state: str
) -> None:
    limit(client, LIMITS[state], when="new.parent_id IS NOT NULL")
    processes.fleet()
    task = client.submit("family", {"folder": "/nowhere", "members": 3})
    with pytest.raises(StepFailed, match=r"statement timeout|too many"):
        task.result(timeout=30)
    assert len(rows.events(client, task.id, "claimed")) == 1
    assert client.submit("echo", {"value": 1}).result(timeout=30) == 1


def test_a_sweep_that_postgres_ends_does_not_stop_those_after_it(client: AgentTasks) -> None:
    limit(client, LIMITS["57014"], event="UPDATE", when="new.suspect > 0")
    crashed, pending = claimed(client).id, submitted(client)
    lapse(client, crashed)
    fall_due(client, pending)
    assert Sweeper(client).run_due() == {"leases": 0, "bells": 1}
    assert row_of(client, crashed)["status"] == "running"


def test_all_sweeps_run_where_the_question_what_is_due_is_ended(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(connection: object) -> set[str]:
        raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    pending = submitted(client)
    fall_due(client, pending)
    monkeypatch.setattr("agent_tasks.sweeps.sweeper.read.due", ended)
    assert Sweeper(client).run_due() == {"leases": 0, "timers": 0, "bells": 1, "schedules": 0, "pauses": 0}


def test_a_connection_to_what_is_no_primary_any_more_is_not_used_again(client: AgentTasks) -> None:
    """As after a failover: the old primary is a standby now, and the connection to it still stands."""

    def write() -> None:
        with client.database.connection() as connection:
            used.append(connection)
            connection.execute("SET default_transaction_read_only = on")
            connection.execute("UPDATE agent_tasks.tasks SET rings = 0")

    used: list[Connection] = []
    with pytest.raises(ServerAway, match="read-only"):
        write()
    assert used[0].closed
    submitted(client)
