"""The way into Postgres: one pool of psycopg connections per process."""

import os
import random
import select
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from time import monotonic, sleep
from typing import Any, Literal, TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed

from agent_tasks.store import session
from agent_tasks.store.errors import Contention, ServerAway, classified
from agent_tasks.store.route import Route, RoutedConnection
from agent_tasks.store.unanswered import Unanswered

T = TypeVar("T")
Connection = psycopg.Connection[Any]
"""What every transition takes: rows are dicts, each of the type that is declared beside its statement.

Outside `transaction()` each statement commits by itself."""

PreparedStatements = Literal["auto", "on", "off"]
_TAKE_SECONDS = 10.0
"""How many seconds a connection is waited for."""
_GIVING_WAY_SECONDS = (0.05, 0.2)
"""Pauses after a deadlock: who tries again at once takes its locks before a rival that waits for them has woken up."""


class Database:
    """A lazily opened pool that notices a fork and opens its own in the child."""

    def __init__(self, url: str, pool_size: int = 8, prepared_statements: PreparedStatements = "auto") -> None:
        """`prepared_statements`: kept by "auto" where no pooler stands between, which might not know of them.

        Raises psycopg.Error for what is no URL of Postgres.
        """
        self.route = Route(url)
        self._size = pool_size
        self._prepared_statements = prepared_statements
        self._lock = threading.Lock()
        self._pool: ConnectionPool[RoutedConnection] | None = None
        self._unanswered = Unanswered(self.route, self._renew)
        self._pid = 0

    @property
    def pool(self) -> "ConnectionPool[RoutedConnection]":
        if self._pool is None or self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._pool = None
                    self._unanswered.start()
                    self._pid = os.getpid()
                if self._pool is None:
                    self._pool = self._open()
        return self._pool

    def _open(self) -> "ConnectionPool[RoutedConnection]":
        return ConnectionPool(
            connection_class=RoutedConnection,
            kwargs={"route": self.route},
            min_size=1,
            max_size=self._size,
            timeout=_TAKE_SECONDS,
            reconnect_timeout=5.0,  # then whoever asks next connects at once; by default the pauses grow to minutes
            open=True,
            configure=self._configure,
            name="agent-tasks",
        )

    @contextmanager
    def connection(self) -> Generator[Connection]:
        """Lend an autocommitting connection from the pool.

        Raises ServerAway, Contention, or what Postgres says of a statement; `classified` tells them apart.
        """
        try:
            pool, connection = self._take()
            try:
                self._unanswered.begin(connection)
                with connection.transaction() if connection.needs_transaction else nullcontext():
                    yield connection
            except psycopg.Error as error:
                if isinstance(classified(error), ServerAway):
                    connection.close()  # it may be a standby's, which would say the same each time
                raise
            finally:
                self._unanswered.end(connection)
                pool.putconn(connection)
        except psycopg.Error as error:
            found = classified(error)
            if found is error:
                raise
            raise found from error

    def _take(self) -> "tuple[ConnectionPool[RoutedConnection], RoutedConnection]":
        """Take a connection; returns it and the pool to give it back to. Raises psycopg_pool.PoolTimeout."""
        until = monotonic() + _TAKE_SECONDS
        while True:
            pool = self.pool
            try:
                connection = pool.getconn(until - monotonic())
            except PoolClosed:
                if pool is self._pool or monotonic() > until:
                    raise
                continue  # it was renewed meanwhile
            if not has_ended(connection):
                return pool, connection
            connection.close()
            pool.putconn(connection)

    @contextmanager
    def watched(self, connection: RoutedConnection) -> Generator[None]:
        """Cut a connection that is not of the pool where its statement will have no answer."""
        _ = self.pool  # in a forked child who watches is to be started anew
        self._unanswered.begin(connection)
        try:
            yield
        finally:
            self._unanswered.end(connection)

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        with self.connection() as connection, connection.transaction():
            yield connection

    def run(self, transition: Callable[[Connection], T], *, single: bool = False) -> T:
        """Run the transition in a transaction, and twice again where it meets rivals (a deadlock, say).

        `single`: it is one statement, which commits by itself.
        """
        begin = self.connection if single else self.transaction
        for seconds in _GIVING_WAY_SECONDS:
            try:
                with begin() as connection:
                    return transition(connection)
            except Contention:
                sleep(seconds * random.uniform(0.5, 1.0))
        with begin() as connection:
            return transition(connection)

    def close(self) -> None:
        if self._pool is not None and self._pid == os.getpid():
            self._pool.close(timeout=2.0)
        self._unanswered.close()
        self._pool, self._pid = None, 0

    def _renew(self) -> None:
        """Leave all connections that there are: new ones may reach a server that answers."""
        with self._lock:
            left, self._pool = self._pool, None
        if left is not None:
            left.close(timeout=0.0)

    def _configure(self, connection: RoutedConnection) -> None:
        self._unanswered.begin(connection)
        try:
            found = session.begin(connection)
        finally:
            self._unanswered.end(connection)
        connection.is_pooled = found.is_pooled
        if found.isolation != session.READ_COMMITTED:
            connection.needs_transaction = found.is_pooled
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        if self._prepared_statements == "off" or (self._prepared_statements == "auto" and found.is_pooled):
            connection.prepare_threshold = None


def has_ended(connection: Connection) -> bool:
    """Whether the server has closed an idle connection, or said something on it: seen without a round trip."""
    looking = select.poll()  # select itself takes no file above 1,023
    looking.register(connection.fileno(), select.POLLIN)
    return bool(looking.poll(0))
