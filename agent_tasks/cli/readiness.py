"""Waiting until the workers take steps, the sweeps run and the gateway serves, seen from outside, not as they print."""

import socket
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any

import psycopg

from agent_tasks.settings import Settings
from agent_tasks.store.database import Database
from agent_tasks.store.queries import read
from agent_tasks.transitions.abandon import WATCH
from agent_tasks.transitions.watch import DELIVERER

_LOOK_SECONDS = 0.2


class Readiness:
    """Calls `then` once, from a thread of its own, as soon as `workers` of the workers are alive that were not before,
    sweeps have run since, and, where there is a `gateway`, somebody listens on this port of this machine and a
    deliverer has looked for what is due."""

    def __init__(self, settings: dict[str, Any], workers: int, gateway: int | None, then: Callable[[], None]) -> None:
        self._settings = Settings(**settings)
        self._database = Database(self._settings.database_url, pool_size=2)
        self._workers = workers
        self._gateway = gateway
        self._then = then
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="agent-tasks-readiness", daemon=True)

    def __enter__(self) -> None:
        self._began = monotonic()
        self._before = self._started()
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()
        self._database.close()

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            try:
                started, swept = self._started() - self._before, self._looked(WATCH)
                delivers = self._gateway is None or self._looked(DELIVERER)
            except psycopg.OperationalError:  # the servers are stopping: nothing will be ready any more
                continue
            if len(started) >= self._workers and swept and delivers and self._is_served():
                self._then()
                return

    def _started(self) -> set[tuple[str, object]]:
        with self._database.connection() as connection:
            rows = read.workers(connection, seconds=self._settings.lease_seconds)
        return {(row["id"], row["started_at"]) for row in rows}

    def _looked(self, watch: str) -> bool:
        with self._database.connection() as connection:
            seconds = read.seconds_since_sweep(connection, watch)
        return seconds is not None and seconds <= monotonic() - self._began

    def _is_served(self) -> bool:
        if self._gateway is None:
            return True
        try:
            socket.create_connection(("127.0.0.1", self._gateway), timeout=1).close()
        except OSError:
            return False
        return True
