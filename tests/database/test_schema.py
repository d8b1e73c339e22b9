"""The schema: models, migrations and enums say the same."""

import re
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from agent_tasks import AgentTasks, InvalidState, Settings, TaskStatus
from agent_tasks.cli.application import app
from agent_tasks.store.migrations import VERSION_TABLE, current, head, upgrade
from agent_tasks.store.tables import metadata
from tests.conftest import database_named
from tests.database import query

CONSTRAINTS = """
    SELECT conrelid::regclass::text AS of, conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE connamespace = current_schema()::regnamespace AND contype IN ('c', 'f', 'p', 'u') ORDER BY 1, 2
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1"
COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
    WHERE table_schema = current_schema() ORDER BY 1, 2
"""
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


def test_the_models_are_what_the_migrations_make(settings: Settings) -> None:
    engine = create_engine(settings.database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    engine.dispose()


def test_constraints_indexes_and_defaults_are_the_same_in_both(settings: Settings) -> None:
    engine = create_engine(settings.database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    found: list[list[tuple[object, ...]]] = []
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
        for schema in ("public", "models"):
            if schema == "models":
                connection.execute(text("CREATE SCHEMA models"))
                connection.execute(text("SET LOCAL search_path TO models"))
                metadata.create_all(connection)
            rows = [row for sql in (CONSTRAINTS, INDEXES, COLUMNS) for row in connection.execute(text(sql))]
            found.append([tuple(str(v).replace(f"{schema}.", "") for v in row) for row in rows])
        connection.rollback()
    engine.dispose()
    assert found[0] == found[1]


@pytest.mark.parametrize("table", CONTRACT)
def test_the_tables_that_people_query_have_the_columns_of_the_contract(client: AgentTasks, table: str) -> None:
    sql = "SELECT column_name AS name FROM information_schema.columns WHERE table_name = %s"
    assert {row["name"] for row in query(client, sql, table)} >= CONTRACT[table]


def test_an_upgrade_is_done_once_however_many_ask_for_it(server_urls: tuple[str, str]) -> None:
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(server_urls[0], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = database_named(server_urls[0], name)
        try:
            assert current(url) is None
            with ThreadPoolExecutor(4) as threads:
                assert set(threads.map(upgrade, [url] * 4)) == {head()}
            assert upgrade(url) == current(url) == head()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_database_that_a_newer_release_migrated_is_told_as_such(
    settings: Settings, client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    query(client, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(InvalidState, match=r"revision 9999.*Install that release"):
        upgrade(settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)
    told = CliRunner().invoke(app, ["migrate"])
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1)
    assert "Install that release" in CliRunner().invoke(app, ["doctor"]).stdout
