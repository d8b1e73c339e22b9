"""Databases for tests: each test has one of its own, copied from a migrated one, or used before and as new again."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql

from agent_tasks.store.migrations import upgrade

_CATALOGS: tuple[LiteralString, ...] = (
    "pg_attribute", "pg_attrdef", "pg_constraint", "pg_event_trigger", "pg_extension", "pg_index", "pg_namespace",
    "pg_policy", "pg_proc", "pg_rewrite", "pg_trigger", "pg_type",
)  # fmt: skip
_SUMS: LiteralString = ", ".join(
    f"(SELECT sum(hashtext(ctid::text || xmin::text)) FROM pg_catalog.{name})" for name in _CATALOGS
)  # type: ignore[assignment]
_DEFINITION: LiteralString = f"""
    SELECT {_SUMS}, (SELECT sum(hashtext(oid::text || coalesce(relacl::text, ''))) FROM pg_class),
        (SELECT string_agg(setconfig::text, ',') FROM pg_db_role_setting
            WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())),
        EXISTS (SELECT FROM pg_stats WHERE schemaname = 'agent_tasks')
"""
"""Whether anybody has changed what a database is made of, or measured it for the planner."""
_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'agent_tasks'::regnamespace AND relkind = 'r'"
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'agent_tasks' AND last_value IS NULL"
_FEW_BYTES = 32 * 8192
"""Of tables with dead rows: so few pages more are read by whoever comes after. New files for all tables and indexes,
as TRUNCATE makes them, take ten times as long as deleting the rows."""


def make_template(url: str) -> str:
    """The name of a migrated database that others are copied from."""
    name = f"agent_tasks_template_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    upgrade(database_named(url, name))
    return name


class Databases:
    """Copies of a template. Making one takes long, so that one of which a test has changed no more than rows is kept.

    Where a test takes 1/5 s, a copy and its end are half of it; emptying is a twentieth of that.
    """

    def __init__(self, url: str, template: str) -> None:
        self._url, self._template = url, template
        self._free: list[str] = []
        with psycopg.connect(database_named(url, template), autocommit=True) as connection:
            self._tables = [str(name) for (name,) in connection.execute(_TABLES).fetchall()]
            self._sequences = [str(name) for (name,) in connection.execute(_SEQUENCES).fetchall()]
            self._seeds = _contents(connection, _filled(connection, self._tables))
            self._definition = connection.execute(_DEFINITION).fetchone()  # a copy has the same, row for row

    @contextmanager
    def one(self) -> Generator[str]:
        """The URL of a database without rows, until the test is over."""
        name = self._free.pop() if self._free else self._copied()
        url = database_named(self._url, name)
        yield url
        if self._emptied(url):
            self._free.append(name)
        else:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _copied(self) -> str:
        name = f"test_{uuid4().hex[:12]}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return name

    def _emptied(self, url: str) -> bool:
        """Empty it, unless there is more to it than rows; returns whether it is as new."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_OTHERS)
            if connection.execute(_DEFINITION).fetchone() != self._definition:
                return False
            filled = _filled(connection, self._tables)
            if _contents(connection, [name for name in filled if name in self._seeds]) != self._seeds:
                return False
            if used := [name for name in filled if name not in self._seeds]:
                self._clear(connection, used)
            return True

    def _clear(self, connection: psycopg.Connection, used: list[str]) -> None:
        names = [sql.Identifier("agent_tasks", name) for name in used]
        sizes = sql.SQL(" + ").join(sql.SQL("pg_relation_size({})").format(f"agent_tasks.{name}") for name in used)
        row = connection.execute(sql.SQL("SELECT {}").format(sizes)).fetchone()
        if row is None or row[0] > _FEW_BYTES:
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(sql.SQL(", ").join(names)))
            return
        with connection.transaction():
            connection.execute(
                "SET LOCAL session_replication_role = replica"
            )  # no look at the other table for each row
            for name in names:
                connection.execute(sql.SQL("DELETE FROM {}").format(name))
        for name in self._sequences:
            connection.execute("SELECT setval(%s, 1, false)", [f"agent_tasks.{name}"])
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT pg_stat_reset()")  # else the rows of some tests together are enough for an ANALYZE

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement.encode())


def database_named(url: str, name: str) -> str:
    """`url` with another database name."""
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


@cache
def databases(url: str, template: str) -> Databases:
    return Databases(url, template)


def _filled(connection: psycopg.Connection, tables: list[str]) -> list[str]:
    """Those that have rows."""
    asked = sql.SQL(", ").join(
        sql.SQL("EXISTS (SELECT FROM {})").format(sql.Identifier("agent_tasks", name)) for name in tables
    )
    row = connection.execute(sql.SQL("SELECT {}").format(asked)).fetchone()
    assert row
    return [name for name, has_rows in zip(tables, row, strict=True) if has_rows]


def _contents(connection: psycopg.Connection, tables: list[str]) -> dict[str, Any]:
    return {
        name: connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier("agent_tasks", name))).fetchall()
        for name in tables
    }
