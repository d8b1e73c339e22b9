"""Bells for tasks submitted in the caller's own transaction, rung once it has committed."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from uuid import UUID

from agent_tasks import metrics
from agent_tasks.doorbell.publisher import Publisher
from agent_tasks.store.database import Connection, Database
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import read
from agent_tasks.store.rows import Row

log = logging.getLogger(__name__)
_FIRST_SECONDS, _SLOWEST_SECONDS, _LONGEST_SECONDS = 0.002, 1.0, 3600.0


class OwnedTransaction(ABC):
    """A transaction of the caller's whose owner, a framework, runs what is to be run after the commit."""

    @abstractmethod
    def begin(self, *, whole: bool) -> AbstractContextManager[Connection]:
        """Lend the psycopg connection. `whole`: all that is written on it meanwhile is to be committed together."""

    @abstractmethod
    def after_commit(self, do: Callable[[], None]) -> None:
        """Have `do` called after the commit, and not where there is none; at once if nothing is open."""


@dataclass
class _Watched:
    transaction: str
    tasks: list[UUID]
    committed: Callable[[Iterable[UUID]], None]
    look_at: float
    wait: float
    since: float


class AfterCommit:
    """Asks Postgres how a transaction ended, and publishes its tasks if it committed.

    It has a thread of its own, since no driver reports a commit that somebody else makes. If this process dies
    between the commit and the bell, the sweep rings.
    """

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher
        self._condition = threading.Condition()
        self._watched: list[_Watched] = []
        self._closed = False
        self._thread: threading.Thread | None = None

    def watch(self, transaction: str, rows: list[Row], committed: Callable[[Iterable[UUID]], None]) -> None:
        """Publish these rows once the transaction has committed, and tell which of them are there."""
        if not rows:
            return
        now = time.monotonic()
        with self._condition:
            tasks = [row["id"] for row in rows]
            self._watched.append(_Watched(transaction, tasks, committed, now + _FIRST_SECONDS, _FIRST_SECONDS, now))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="agent-tasks-after-commit", daemon=True)
                self._thread.start()
            self._condition.notify()

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            try:
                ended = self._publish_if_committed(due)
            except Transient as error:
                log.warning("Postgres cannot be reached; callers' transactions will be checked again: %s", error)
                ended = False
            except Exception:  # one transaction must not end this thread: the sweep rings for its tasks
                log.exception("the messages for a caller's transaction were not sent")
                ended = True
            if not ended and time.monotonic() - due.since < _LONGEST_SECONDS:
                due.wait = min(due.wait * 1.5, _SLOWEST_SECONDS)
                due.look_at = time.monotonic() + due.wait
                with self._condition:
                    self._watched.append(due)

    def _publish_if_committed(self, due: _Watched) -> bool:
        """Return whether the transaction has ended; even so, a savepoint in it may have been rolled back."""
        with self._database.connection() as connection:
            status = read.transaction_status(connection, due.transaction)
            rows = read.find_many(connection, due.tasks) if status == "committed" else []
        for row in rows:
            metrics.SUBMITTED.labels(row["agent"]).inc()
        due.committed(row["id"] for row in rows)
        self._publisher.publish([row for row in rows if row["finished_at"] is None])
        return status != "in progress"

    def _next(self) -> _Watched | None:
        """Return the next transaction to check, once it is due; None after close()."""
        with self._condition:
            while not self._closed:
                first = min(self._watched, key=lambda w: w.look_at, default=None)
                wait = None if first is None else first.look_at - time.monotonic()
                if first is not None and wait is not None and wait <= 0:
                    self._watched.remove(first)
                    return first
                self._condition.wait(wait)
        return None
