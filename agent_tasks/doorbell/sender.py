"""The thread that sends: over a connection of its own, so that no caller hangs on whatever a transport does."""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from kombu.connection import Connection
from kombu.messaging import Producer

from agent_tasks.doorbell.bell import Taken
from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.doorbell.celery_app import driver_of
from agent_tasks.doorbell.refusals import Refused
from agent_tasks.task.row import BellRow

log = logging.getLogger(__name__)
PATIENCE = 1.5
"""How long a caller waits for the broker, in seconds."""
_BOUNDS: dict[str, dict[str, Any]] = {
    "redis": {"socket_timeout": 10.0, "socket_connect_timeout": 4.0},
    "amqp": {"read_timeout": 10.0},
    "sqs": {"client-config": {"connect_timeout": 4.0, "read_timeout": 10.0, "retries": {"total_max_attempts": 2}}},
}
"""Options by kind of transport, so that a broker that is gone without a word does not hold the thread for ever."""


class BrokerAway(Exception):
    """The broker did not answer in time, or a moment ago and was not asked."""


class Job:
    """Something for the thread to do, and what came of it."""

    def __init__(self, work: Callable[[Producer], Any]) -> None:
        self.work = work
        self.ended = threading.Event()
        self.answer: Any = None
        self.error: Exception | None = None
        self.given_up = False

    def give_up(self, error: Exception | None = None) -> None:
        """Leave what is not done by now; `error` is why the thread could not do it."""
        self.given_up, self.error = True, error or self.error


Item = tuple[Taken, BellRow | None]
"""A message, and the row of which it can be made again where it could not be sent."""


class Batch(Job):
    """Messages to send one after the other: each is sent, or handed back, or of a queue that the broker refuses."""

    def __init__(
        self,
        items: Iterable[Item],
        send: Callable[[Producer, Taken], None],
        keep: Callable[[list[BellRow]], None],
        refused: Callable[[str, Refused], None],
    ) -> None:
        super().__init__(self._send_all)
        self._send, self._keep, self._refused = send, keep, refused
        self._lock = threading.Lock()
        self._left = deque(items)
        self.is_taken = True
        """Whether nothing was handed back until now."""

    def give_up(self, error: Exception | None = None) -> None:
        super().give_up(error)
        with self._lock:
            if error is not None:
                self._left.rotate(-1)  # the error may be about that message, which is not to hold up the others again
            left, self._left = self._left, deque[Item]()
            self.is_taken = self.is_taken and not left
        self._keep([row for _, row in left if row is not None])

    def _send_all(self, producer: Producer) -> None:
        while left := self._left:
            message = left[0][0]
            try:
                self._send(producer, message)
            except Refused as error:
                self._refused(message.queue, error)
                with self._lock:
                    self._left = deque(item for item in self._left if item[0].queue != message.queue)
            else:
                with self._lock:
                    if self._left:
                        self._left.popleft()


class Sender:
    """Does the jobs in their order, over one connection with the options of an app."""

    def __init__(self, app: Any, breaker: Breaker) -> None:
        """`breaker` raises BrokerAway."""
        self.breaker = breaker
        self.declared: set[str] = set()
        """The queues that were declared over the connection that is open."""
        self._app = app
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._connection: tuple[Connection, Producer] | None = None
        self._moved_at = 0.0

    def do(self, job: Job) -> Any:
        """Have a job done; return its answer, None if there is none in time.

        It is given up where the broker is away or the thread stands still, and is left to go on where that moves.
        """
        if self.breaker.is_open:
            job.give_up()
            return None
        began = monotonic()
        self._jobs.put(job)
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="agent-tasks-bells", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError as error:  # there can be no more threads now
                    job.give_up(error)
                    return None
        if not job.ended.wait(PATIENCE) and self._moved_at < began:
            job.give_up()
            self.breaker.failed(BrokerAway(f"no answer in {PATIENCE} s"))
        return job.answer

    def moved(self) -> None:
        """Note that the broker takes what it is sent, however slowly."""
        self._moved_at = monotonic()

    def close(self) -> None:
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.given_up:
                continue
            try:
                with self.breaker:
                    job.answer = self._answer(job)
            except BrokerAway as error:  # of another caller's: the connection may well be whole
                job.give_up(error)
            except Exception as error:  # of any kind that transports raise; the breaker has logged it
                self._disconnect()
                job.give_up(error)
            finally:
                job.ended.set()
                self.moved()
        self._disconnect()

    def _answer(self, job: Job) -> Any:
        """Do the job, over a new connection if the one that was open turns out to be broken."""
        if self._connection is not None:
            try:
                return job.work(self._connection[1])
            except Exception as error:
                log.debug("connects to the broker again: %s", error)
                self._disconnect()
        connection: Connection = self._app.connection_for_write(transport_options=bounds(self._app))
        self._connection = connection, Producer(connection, auto_declare=False)
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        return job.work(self._connection[1])

    def _disconnect(self) -> None:
        connected, self._connection = self._connection, None
        self.declared.clear()
        if connected is not None:
            try:
                connected[0].release()
            except Exception as error:
                log.debug("the broker's connection was not closed: %s", error)


def bounds(app: Any) -> dict[str, Any]:
    """Return the bounds as transport options; in what is a dict, the app's own entries come first."""
    own = app.conf.broker_transport_options or {}
    found = _BOUNDS.get(driver_of(app.connection_for_write()), {})
    return {
        name: {**value, **(own.get(name) or {})} if isinstance(value, dict) else value for name, value in found.items()
    }
