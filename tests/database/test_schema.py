"""The schema: models, migrations and enums say the same."""

import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import alembic
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, create_engine, text
from typer.testing import CliRunner

from agent_tasks import AgentTasks, InvalidState, Settings, TaskStatus
from agent_tasks.cli.application import app
from agent_tasks.store.migrations import current, head, upgrade
from agent_tasks.store.migrations.namespace import SCHEMA, VERSION_TABLE
from agent_tasks.store.tables import metadata
from tests.database import query
from tests.databases import database_named

CONSTRAINTS = """
    SELECT conrelid::regclass::text AS of, conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE connamespace = 'agent_tasks'::regnamespace AND contype IN ('c', 'f', 'p', 'u') ORDER BY 1, 2
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'agent_tasks' ORDER BY 1"
COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
    WHERE table_schema = 'agent_tasks' ORDER BY 1, 2
"""
DUMP = Path(__file__).parent / "database_of_0_1_0.sql"
"""Made by pg_dump of 0.1.0, with tasks in every state."""
OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
FILLED = ("agents", "calls", "checkpoints", "events", "idempotency_keys", "schedules", "signals", "tasks")
CONTRACT = {
    "tasks": {"id", "agent", "status", "step", "step_number", "parent_id", "root_id", "tenant", "created_at",
              "finished_at"},
    "checkpoints": {"task_id", "step_number"},
    "calls": {"task_id", "step_number", "ordinal"},
    "events": {"task_id", "seq", "type", "data", "at"},
}  # fmt: skip


def test_the_states_of_the_code_are_those_that_the_database_allows(client: AgentTasks) -> None:
    sql = "SELECT pg_get_constraintdef(oid) AS said FROM pg_constraint WHERE conname = 'tasks_status'"
    allowed = set(re.findall(r"'(\w+)'", query(client, sql)[0]["said"]))
    assert allowed == {str(status) for status in TaskStatus}


@pytest.mark.skipif(alembic.__version__ < "1.14", reason="Alembic 1.13 takes an index of an expression for another")
def test_the_models_are_what_the_migrations_make(settings: Settings) -> None:
    options = {
        "version_table": VERSION_TABLE,
        "version_table_schema": SCHEMA,
        "include_schemas": True,
        "compare_type": True,
        "compare_server_default": True,
    }
    with engine_of(settings.database_url) as engine, engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_constraints_indexes_and_defaults_are_the_same_in_both(settings: Settings) -> None:
    with engine_of(settings.database_url) as engine, engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {SCHEMA}.{VERSION_TABLE}"))
        migrated = described(connection)
        connection.execute(text(f"ALTER SCHEMA {SCHEMA} RENAME TO migrated"))
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        metadata.create_all(connection)
        assert described(connection) == migrated
        connection.rollback()


def test_autogenerate_by_its_defaults_sees_none_of_the_tables(settings: Settings) -> None:
    with engine_of(settings.database_url) as engine, engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), MetaData()) == []


def test_autogenerate_over_all_schemas_sees_none_of_them_with_the_documented_include_name(settings: Settings) -> None:
    found = re.search(r"^def include_name.*?(?=^```)", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    documented: dict[str, Any] = {}
    exec(found[0], documented)
    with engine_of(settings.database_url) as engine, engine.connect() as connection:
        for options, seen in (({}, len(metadata.tables) + 1), ({"include_name": documented["include_name"]}, 0)):
            context = MigrationContext.configure(connection, opts={"include_schemas": True, **options})
            tables = [change for change in compare_metadata(context, MetaData()) if change[0] == "remove_table"]
            assert len(tables) == seen


def test_a_database_of_0_1_0_is_moved_into_the_schema_with_all_it_holds(server_urls: tuple[str, str]) -> None:
    with fresh_database(server_urls[0]) as url, fresh_database(server_urls[0]) as new:
        load(url, DUMP)
        assert current(url) == "0003"
        with psycopg.connect(url) as connection:
            before = {table: counted(connection, f"public.{table}") for table in FILLED}
        assert all(before.values())
        assert upgrade(url) == upgrade(new) == current(url) == head()
        with psycopg.connect(url) as connection:
            assert {table: counted(connection, f"agent_tasks.{table}") for table in FILLED} == before
            left = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            assert connection.execute(left).fetchall() == []
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
                connection.execute("UPDATE agent_tasks.events SET type = 'other'")
        with engine_of(url) as moved, engine_of(new) as made, moved.connect() as one, made.connect() as other:
            assert described(one) == described(other)


@pytest.mark.parametrize("table", CONTRACT)
def test_the_tables_that_people_query_have_the_columns_of_the_contract(client: AgentTasks, table: str) -> None:
    sql = "SELECT column_name AS name FROM information_schema.columns WHERE table_name = %s"
    assert {row["name"] for row in query(client, sql, table)} >= CONTRACT[table]


def test_an_upgrade_is_done_once_however_many_ask_for_it(server_urls: tuple[str, str]) -> None:
    with fresh_database(server_urls[0]) as url:
        assert current(url) is None
        with ThreadPoolExecutor(4) as threads:
            assert set(threads.map(upgrade, [url] * 4)) == {head()}
        assert upgrade(url) == current(url) == head()


def test_a_database_that_a_newer_release_migrated_is_told_as_such(
    settings: Settings, client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    query(client, f"UPDATE {SCHEMA}.{VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(InvalidState, match=r"revision 9999.*Install that release"):
        upgrade(settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)
    result = CliRunner().invoke(app, ["migrate"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "Install that release" in CliRunner().invoke(app, ["doctor"]).stdout


@contextmanager
def fresh_database(server: str) -> Generator[str]:
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        try:
            yield database_named(server, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@contextmanager
def engine_of(url: str) -> Generator[Engine]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        yield engine
    finally:
        engine.dispose()


def described(connection: Connection) -> list[tuple[object, ...]]:
    """All that the schema holds: its constraints, indexes and columns."""
    found = [tuple(row) for sql in (CONSTRAINTS, INDEXES, COLUMNS) for row in connection.execute(text(sql))]
    return [row for row in found if VERSION_TABLE not in str(row)]


def load(url: str, dump: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(dump.read_text())  # type: ignore[arg-type]


def counted(connection: "psycopg.Connection[Any]", table: str) -> int:
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # type: ignore[arg-type,index]
