"""The way into Postgres: one pool of psycopg connections per process."""

import os
import select
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from agent_tasks.database_errors import Contention, ServerAway, classified

T = TypeVar("T")
Connection = psycopg.Connection[DictRow]
"""What every transition takes: rows are dicts; outside `transaction()` each statement commits by itself."""

_CONNECT = {
    "autocommit": True,
    "row_factory": dict_row,
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "agent-tasks",
}


def libpq_url(url: str) -> str:
    """`url` as libpq reads it; SQLAlchemy's form with a driver (postgresql+psycopg://…) is accepted, too."""
    return f"postgresql://{url.partition('://')[2]}"


class Database:
    """A lazily opened pool that notices a fork and opens its own in the child."""

    def __init__(self, url: str, pool_size: int = 8) -> None:
        self.url = libpq_url(url)
        self._size = pool_size
        self._lock = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None
        self._pid = 0

    @property
    def pool(self) -> "ConnectionPool[Connection]":
        if self._pool is None or self._pid != os.getpid():
            with self._lock:
                if self._pool is None or self._pid != os.getpid():
                    self._pool = ConnectionPool[Connection](
                        self.url,
                        kwargs=_CONNECT,
                        min_size=1,
                        max_size=self._size,
                        timeout=10.0,
                        open=True,
                        configure=_configure,
                        check=_check_if_idle,
                        name="agent-tasks",
                    )
                    self._pid = os.getpid()
        return self._pool

    @contextmanager
    def connection(self) -> Generator[Connection]:
        """An autocommitting connection from the pool.

        Raises ServerAway, Contention, or what Postgres says of a statement; `classified` tells them apart.
        """
        try:
            with self.pool.connection() as connection:
                try:
                    yield connection
                except psycopg.Error as error:
                    if isinstance(classified(error), ServerAway):
                        connection.close()  # it may be a standby's, which would say the same each time
                    raise
        except psycopg.Error as error:
            found = classified(error)
            if found is error:
                raise
            raise found from error

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        with self.connection() as connection, connection.transaction():
            yield connection

    def run(self, transition: Callable[[Connection], T]) -> T:
        """The transition in a transaction; one that met rivals (a deadlock, say) is run again, twice."""
        for _ in range(2):
            try:
                with self.transaction() as connection:
                    return transition(connection)
            except Contention:
                continue
        with self.transaction() as connection:
            return transition(connection)

    def close(self) -> None:
        if self._pool is not None and self._pid == os.getpid():
            self._pool.close(timeout=2.0)
        self._pool = None


def _configure(connection: "psycopg.Connection[Any]") -> None:
    """Every statement here finds rows by an index. A plan that was made, and kept, while the tables were small or
    their statistics old would read them whole. (Up to PostgreSQL 17 the price put on that would switch on the JIT.)"""
    connection.execute("SET enable_seqscan = off")
    connection.execute("SET jit = off")


def _check_if_idle(connection: "psycopg.Connection[Any]") -> None:
    """A server that restarted closed its sockets: a look at the socket finds out without a round trip."""
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    if readable:
        ConnectionPool.check_connection(connection)
