"""The database of a test: made from a migrated template, and as empty as that for each further test."""

from typing import Any, LiteralString, cast
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from agent_tasks.store.database import Connection
from agent_tasks.store.migrations import upgrade
from agent_tasks.store.tables import SCHEMA, metadata
from agent_tasks.testing import moved_clock

_TABLES = ", ".join(f"{SCHEMA}.{table.name}" for table in metadata.sorted_tables)
# What guards the history is for programs. Whoever may not lift it has the tables made anew.
_EMPTY = f"""
    DO $empty$ BEGIN
        SET LOCAL session_replication_role = replica;
        {" ".join(f"DELETE FROM {SCHEMA}.{table.name};" for table in metadata.sorted_tables)}
    EXCEPTION WHEN insufficient_privilege THEN
        TRUNCATE {_TABLES};
    END $empty$
"""
_RELATIONS = "SELECT count(*), max(oid) FROM pg_class WHERE relnamespace <> 'pg_toast'::regnamespace"


class Databases:
    """The databases of one process: a new one, or the last one again where a test left its tables as they were."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._template = make_template(server_url)
        self._made = [self._template]
        self._relations: Any = None

    def make(self) -> str:
        """Make a database with our tables, and nothing in them, as the one that is emptied; returns its URL."""
        url = self.make_another()
        with psycopg.Connection[Any].connect(url, autocommit=True, row_factory=dict_row) as connection:
            self._relations = connection.execute(_RELATIONS).fetchone()
        return url

    def make_another(self) -> str:
        """Make a database beside that; returns its URL."""
        name = f"agent_tasks_test_{uuid4().hex[:12]}"
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(_named('CREATE DATABASE "{}" TEMPLATE "{}"', name, self._template))
            moved_clock.use(connection, name)
        self._made.append(name)
        return url_of(self._server_url, name)

    def empty(self, connection: Connection) -> bool:
        """Empty the database that was made last; returns False where its tables are others by now."""
        if connection.execute(_RELATIONS).fetchone() != self._relations:
            return False
        empty(connection)
        return True

    def drop(self) -> None:
        """Remove all that were made: from a server that outlives the session."""
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            for name in self._made:
                connection.execute(_named('DROP DATABASE IF EXISTS "{}" WITH (FORCE)', name))


def make_template(server_url: str) -> str:
    """Make a database with our tables, to make others from; returns its name."""
    name = f"agent_tasks_test_template_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(_named('CREATE DATABASE "{}"', name))
    url = url_of(server_url, name)
    upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        moved_clock.make(connection)
    return name


def url_of(server_url: str, name: str) -> str:
    """Return the URL of a database of the same server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def empty(connection: Connection) -> None:
    """Delete all that tests have written into our tables, and set the clock right."""
    connection.execute(cast(LiteralString, _EMPTY))
    moved_clock.reset(connection)


def _named(statement: str, *names: str) -> LiteralString:
    """Return a statement about databases; their names are of our own making."""
    return cast(LiteralString, statement.format(*names))
