"""Bells as messages of an app's own producer: any broker that kombu has a transport for."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kombu.connection import Connection
from kombu.messaging import Producer

from agent_tasks import metrics
from agent_tasks.doorbell import bell
from agent_tasks.doorbell.bell import Taken
from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.doorbell.celery_app import driver_of
from agent_tasks.doorbell.fast_path import takes_json
from agent_tasks.doorbell.queue_size import queue_size
from agent_tasks.doorbell.redis_url import remedy
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
_TRANSIENT, _IN_USE = 1, 406


class BrokerAway(Exception):
    """The broker did not answer in time, or a moment ago and was not asked."""


class _Job:
    """Something for the sending thread to do, and how far it has come."""

    def __init__(self, work: Callable[["_Job", Producer], Any]) -> None:
        self.work = work
        self.ended = threading.Event()
        self.answer: Any = None
        self.error: Exception | None = None
        self.given_up = False
        self.sent = 0


class ProducerBells:
    """A thread of its own sends, over a connection of its own: whatever a transport does, no caller hangs on it, and
    none of the connections in the app's pool is taken or inherited by a fork.

    The connection, its options, serializer and queues are the app's. Messages are transient, since the sweep rings
    for those that a broker loses.
    """

    path = "producer"

    def __init__(self, app: Any, key: Callable[[], bytes], why: str) -> None:
        """`key` returns what signs the envelopes; it is asked for when the first bell rings."""
        self.why = why
        self._app = app
        self._key = key
        self._driver = driver_of(app.connection_for_write())
        self._serializer = "json" if takes_json(app) else app.conf.task_serializer
        to_do = partial(remedy, url="the broker's URL", of_redis=self._driver == "redis")
        self._breaker = Breaker("the broker", BrokerAway, Exception, to_do)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._declared: set[str] = set()

    def ring(self, rows: Sequence[BellRow]) -> bool:
        sealed = [(row, bell.headers(row, self._key())) for row in rows]
        return self._send([Taken(headers, row["queue"], self._level(row)) for row, headers in sealed if headers])

    def put_back(self, messages: Sequence[Taken]) -> bool:
        return self._send(messages)

    def waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        return self._do(_Job(lambda _, producer: self._sizes(producer, queues))) or dict.fromkeys(queues)

    def problem(self) -> str | None:
        def answered(_: _Job, producer: Any) -> bool:
            with producer.connection.channel():  # a new one: an open connection may be to a broker that is gone
                return True

        job = _Job(answered)
        if self._do(job):
            return None
        return self._breaker.explained(job.error) if job.error else f"no answer in {PATIENCE} s"

    def close(self) -> None:
        self._jobs.put(None)

    def _level(self, row: BellRow) -> int:
        return 9 - row["priority"] if self._driver == "redis" else row["priority"]

    def _send(self, messages: Sequence[Taken]) -> bool:
        if not messages:
            return True
        job = _Job(lambda job, producer: self._publish(job, producer, messages))
        if self._do(job) or (job.sent and not job.ended.is_set()):  # a slow transport is at it, and goes on
            return True
        metrics.PUBLISH_FAILURES.inc()
        return False

    def _do(self, job: _Job) -> Any:
        """Have the thread do the job; return its answer, None if there was none in time."""
        if self._breaker.is_open:
            return None
        self._jobs.put(job)
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="agent-tasks-bells", daemon=True)
                self._thread.start()
        if not job.ended.wait(PATIENCE) and not job.sent:
            job.given_up = True
            self._breaker.failed(BrokerAway(f"no answer in {PATIENCE} s"))
        return job.answer

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.given_up:
                continue
            try:
                with self._breaker:
                    job.answer = self._answer(job)
            except Exception as error:  # of any kind that transports raise; the breaker has logged it
                job.error = error
                self._disconnect()
            finally:
                job.ended.set()
        self._disconnect()

    def _answer(self, job: _Job) -> Any:
        """Do the job, over a new connection if the one that was open turns out to be broken."""
        if self._connection is not None:
            try:
                return job.work(job, self._connection[1])
            except Exception as error:
                if job.sent:
                    raise
                log.debug("connects to the broker again: %s", error)
                self._disconnect()
        connection: Connection = self._app.connection_for_write(transport_options=self._bounds())
        self._connection = connection, Producer(connection, auto_declare=False)
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        return job.work(job, self._connection[1])

    def _bounds(self) -> dict[str, Any]:
        """Return the bounds as transport options; in what is a dict, the app's own entries come first."""
        own = self._app.conf.broker_transport_options or {}
        bounds = _BOUNDS.get(self._driver, {})
        return {
            name: {**value, **(own.get(name) or {})} if isinstance(value, dict) else value
            for name, value in bounds.items()
        }

    def _disconnect(self) -> None:
        connected, self._connection = self._connection, None
        self._declared.clear()
        if connected is not None:
            try:
                connected[0].release()
            except Exception as error:
                log.debug("the broker's connection was not closed: %s", error)

    def _publish(self, job: _Job, producer: Any, messages: Sequence[Taken]) -> bool:
        for message in messages:
            if job.given_up:
                return False
            self._declare(producer, message.queue)
            producer.publish(
                bell.BODY,
                exchange="",
                routing_key=message.queue,
                serializer=self._serializer,
                headers=message.headers,
                priority=message.level,
                correlation_id=message.headers["id"],
                delivery_mode=_TRANSIENT,
                retry=False,
                timeout=PATIENCE,
            )
            job.sent += 1
        return True

    def _declare(self, producer: Any, name: str) -> None:
        """Declare a queue once for each connection, as the app has it: to one that is not there nothing is sent."""
        if name in self._declared:
            return
        known = self._app.amqp.Queues(self._app.conf.task_queues)  # to look a name up in the app's own would add it
        entity = known[name] if name in known or known.create_missing else None
        if entity is not None:
            with producer.connection.channel() as channel:
                try:
                    entity(channel).declare()
                except producer.connection.channel_errors as error:
                    if getattr(error, "code", None) != _IN_USE:
                        raise
                    log.warning("queue %s is there with other arguments than the app has for it: %s", name, error)
        self._declared.add(name)

    def _sizes(self, producer: Any, queues: Sequence[str]) -> dict[str, int | None]:
        found = {queue: queue_size(producer, queue) for queue in queues}
        self._declared -= {queue for queue, size in found.items() if not size}  # it may have gone
        return found
