"""Statements that wait long for their answer: is the server at work on them, or is nobody there any more?"""

import logging
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from agent_tasks.store import session
from agent_tasks.store.route import CONNECT_SECONDS, Route, RoutedConnection

log = logging.getLogger(__name__)
SILENT_SECONDS = 5.0
"""How long an answer may take before the server is asked, on another connection, what it is doing."""
LONGEST_SECONDS = 60.0
"""How long a statement may take behind a pooler, which does not tell what becomes of it."""
_TICK_SECONDS = 1.0
_ASK_SECONDS = CONNECT_SECONDS + 2.0


class Unanswered:
    """A thread that cuts the connections on which no answer will come, so that the waiting threads go on.

    TCP alone does not tell: a host whose processes are frozen acknowledges what it is sent, and so does a proxy
    that has lost the server. A statement at which the server works is left alone, however long it takes.
    """

    def __init__(self, route: Route, mistrust: Callable[[], None]) -> None:
        """`mistrust` is called before connections are cut: the other ones may be no better."""
        self._route = route
        self._mistrust = mistrust
        self._since: dict[RoutedConnection, float] = {}
        self._closed = threading.Event()

    def start(self) -> None:
        """Start watching in this process, until `close`."""
        self._closed = threading.Event()
        thread = threading.Thread(target=self._run, args=[self._closed], name="agent-tasks-unanswered", daemon=True)
        thread.start()

    def begin(self, connection: RoutedConnection) -> None:
        """Note that the connection is in use from now on."""
        self._since[connection] = monotonic()

    def end(self, connection: RoutedConnection) -> None:
        self._since.pop(connection, None)

    def close(self) -> None:
        self._closed.set()

    def _run(self, closed: threading.Event) -> None:
        while not closed.wait(_TICK_SECONDS):
            try:
                self._look()
            except Exception:  # without this thread a frozen server would be waited for without end
                log.exception("looking after unanswered connections failed")

    def _look(self) -> None:
        now = monotonic()
        silent = [c for c, since in self._since.copy().items() if now - since > SILENT_SECONDS and _waits(c)]
        servers: dict[tuple[Any, ...], list[RoutedConnection]] = defaultdict(list)
        for connection in silent:
            servers[connection.info.host, connection.info.port].append(connection)
        for (host, port), connections in servers.items():
            working = self._ask(connections)
            if working is None:
                log.error("Postgres does not answer, its connections are cut: host=%s port=%s", host, port)
                self._route.silent(connections[0])
            dead = [c for c in connections if working is None or not self._is_served(c, working, now)]
            if dead:
                self._mistrust()
            for connection in dead:
                self._cut(connection)

    def _is_served(self, connection: RoutedConnection, working: set[int], now: float) -> bool:
        if connection.is_pooled:
            return now - self._since.get(connection, now) < LONGEST_SECONDS
        return connection.info.backend_pid in working

    def _ask(self, connections: list[RoutedConnection]) -> set[int] | None:
        """Find the server processes that work for these connections; None where no answer comes in time."""
        asked = _Question(self._route.parameters_to(connections[0]), [c.info.backend_pid for c in connections])
        asked.start()
        asked.join(_ASK_SECONDS)
        if asked.connection is not None and asked.is_alive():
            _shut(asked.connection)
        return asked.answer

    def _cut(self, connection: RoutedConnection) -> None:
        if connection in self._since:
            log.warning("a statement is not answered, its connection is cut")
            _shut(connection)


class _Question(threading.Thread):
    """A question to the server, in a thread of its own, which nobody has to wait for."""

    def __init__(self, parameters: dict[str, Any], pids: list[int]) -> None:
        super().__init__(name="agent-tasks-question", daemon=True)
        self._parameters = parameters
        self._pids = pids
        self.connection: RoutedConnection | None = None
        self.answer: set[int] | None = None

    def run(self) -> None:
        try:
            self.connection = RoutedConnection.connect(**self._parameters)
            with self.connection:
                self.answer = session.working(self.connection, self._pids)
        except psycopg.Error as error:
            if "FATAL" in str(error):  # it has no connection left, say: it lives, and what it is doing is not known
                self.answer = set(self._pids)


def _waits(connection: RoutedConnection) -> bool:
    return connection.pgconn.transaction_status == TransactionStatus.ACTIVE


def _shut(connection: "psycopg.Connection[Any]") -> None:
    """End the connection under the thread that waits on it, to which the server then seems to have closed it."""
    try:
        number = os.dup(connection.fileno())
    except (psycopg.Error, OSError):
        return  # it was closed meanwhile
    with socket.socket(fileno=number) as same:
        if not connection.closed:
            same.shutdown(socket.SHUT_RDWR)
