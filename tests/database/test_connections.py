"""Connections of our own: what they are set to, whatever the server's defaults are, and how they are replaced."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from agent_tasks import AgentTasks, Settings
from tests.database import query, submitted
from tests.eventually import eventually

DEFAULTS = {
    "default_transaction_isolation": "serializable",
    "DateStyle": "German",
    "TimeZone": "Asia/Kathmandu",
    "client_encoding": "LATIN1",
}

MANY_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
held = [open("/dev/null") for _ in range(1100)]
from agent_tasks import AgentTasks
client = AgentTasks()
task = client.submit("echo", {"value": "\\N{WHITE SMILING FACE}"})
with client.database.connection() as connection:
    assert connection.fileno() > 1023
with client.database.connection() as connection:
    print("again", connection.fileno())
print(task.cancel().status)
"""


def set_defaults(client: AgentTasks) -> None:
    """Of the database, as an administrator does for other programs."""
    with psycopg.connect(client.settings.database_url, autocommit=True) as connection:
        for name, value in DEFAULTS.items():
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {name} = '{value}'".encode())
    client.close()


def test_what_the_database_has_as_its_defaults_changes_nothing(client: AgentTasks) -> None:
    set_defaults(client)
    shown = {name: query(client, f"SHOW {name}")[0] for name in DEFAULTS}
    assert [value for row in shown.values() for value in row.values()] == [
        "read committed",
        "ISO, MDY",
        "UTC",
        "UTF8",
    ]
    task = client.submit("echo", {"value": "\N{WHITE SMILING FACE}"})
    assert task.stored().created_at.utcoffset() is not None


def test_rivals_are_not_refused_where_the_database_is_serializable_by_default(client: AgentTasks) -> None:
    set_defaults(client)
    with ThreadPoolExecutor(8) as threads:
        for task in [client.submit("echo", {"waits_for": ["go"]}) for _ in range(10)]:
            sent = [threads.submit(task.signal, "go", number) for number in range(4)]
            sent.append(threads.submit(client.get(task.id).cancel))
            for future in sent:
                error = future.exception()
                assert error is None or not isinstance(error, psycopg.Error)


def test_above_1023_open_files_all_goes_on(settings: Settings) -> None:
    environment = {
        **os.environ,
        "AGENT_TASKS_DATABASE_URL": settings.database_url,
        "AGENT_TASKS_REDIS_URL": settings.redis_url,
        "AGENT_TASKS_AGENTS": "tests.agents",
    }
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MANY_FILES], env=environment, capture_output=True, text=True, timeout=60
    )
    assert said.stdout.splitlines()[-1:] == ["cancelled"], said.stderr


def test_connections_that_the_server_ended_cost_no_try_and_no_time(client: AgentTasks) -> None:
    """As after a restart: the pool is full of them."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: query(client, "SELECT pg_sleep(0.1)"), range(8)))
    ended = "SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity WHERE {}"
    ours = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    with psycopg.connect(client.settings.database_url, autocommit=True) as other:
        (n,) = other.execute(ended.format(ours).encode()).fetchone() or (0,)
        assert n > 2
        eventually(lambda: other.execute(f"SELECT FROM pg_stat_activity WHERE {ours}".encode()).fetchone() is None)
    for _ in range(n + 1):
        submitted(client)


def test_a_fork_connects_anew(client: AgentTasks) -> None:
    mine = query(client, "SELECT pg_backend_pid() AS pid")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(query(client, "SELECT pg_backend_pid() AS pid")).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert said.read() != str(mine)
    os.waitpid(child, 0)
    assert query(client, "SELECT 1 AS n") == [{"n": 1}]


@pytest.mark.parametrize(("prepared", "threshold"), [("auto", 5), ("on", 5), ("off", None)])
def test_statements_are_prepared_unless_the_settings_say_otherwise(
    settings: Settings, prepared: str, threshold: int | None
) -> None:
    client = AgentTasks(settings.model_copy(update={"prepared_statements": prepared}))
    with client.database.connection() as connection:
        assert connection.prepare_threshold == threshold
    client.close()
