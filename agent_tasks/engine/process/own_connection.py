"""A connection of the heartbeat's own: shared with nothing, and no wait on it lasts for longer than it may."""

import math
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import psycopg

from agent_tasks.store import session
from agent_tasks.store.database import Connection, Database, has_ended
from agent_tasks.store.errors import ServerAway, classified
from agent_tasks.store.route import Route, RoutedConnection


class _Bounded(RoutedConnection):
    """A wait that gives up on a server that does not answer until `until`, by the monotonic clock.

    The server's own timeouts do not come where packets are lost, and TCP's not where something between takes them.
    """

    until = math.inf
    route: Route

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        return super().wait(self._in_time(gen), *args, **options)

    def _in_time(self, gen: Any) -> Generator[Any, Any, Any]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted  # psycopg wakes it ten times a second
                if monotonic() > self.until:
                    self.route.silent(self)
                    self.pgconn.finish()
                    raise ServerAway("Postgres did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


class OwnConnection:
    """A connection that is opened when it is used, and kept while it works. For one thread."""

    def __init__(self, database: Database, seconds: float) -> None:
        """`seconds` bounds each use, after the connection is made."""
        self._route = database.route
        self._seconds = seconds
        self._connection: _Bounded | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    @contextmanager
    def use(self) -> Generator[Connection]:
        """Lend the connection for its seconds. Raises ServerAway, or what Postgres says of a statement."""
        if self._connection is not None and has_ended(self._connection):
            self.close()  # Postgres has ended it while it was idle, and need not be away
        try:
            connection = self._connection or self._open()
            connection.until = monotonic() + self._seconds
            yield connection
        except psycopg.Error as error:
            self.close()
            raise classified(error) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> _Bounded:
        """Open it, preparing no statement, so that each is planned for the tables as they are."""
        silent = round(self._seconds * 1000)
        made = self._route.connect(_Bounded, connect_timeout=2, tcp_user_timeout=silent, prepare_threshold=None)
        self._connection, made.route = made, self._route
        made.until = monotonic() + self._seconds
        session.begin(made)
        return made
