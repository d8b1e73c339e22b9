"""Bells as messages of an app's own producer: any broker that kombu has a transport for."""

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from agent_tasks import metrics
from agent_tasks.doorbell import bell
from agent_tasks.doorbell.bell import Taken
from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.doorbell.celery_app import driver_of
from agent_tasks.doorbell.fast_path import client_of, lists_of, serializer_of
from agent_tasks.doorbell.place import of_connection, of_redis
from agent_tasks.doorbell.queue_size import queue_size
from agent_tasks.doorbell.queues import declare
from agent_tasks.doorbell.redis_url import remedy
from agent_tasks.doorbell.refusals import Refused, of_queue
from agent_tasks.doorbell.sender import PATIENCE, Batch, BrokerAway, Item, Job, Sender
from agent_tasks.doorbell.unsent import Keep
from agent_tasks.task.row import BellRow

log = logging.getLogger(__name__)
_TRANSIENT = 1


class ProducerBells:
    """A thread of its own sends, over a connection of its own: whatever a transport does, no caller hangs on it, and
    none of the connections in the app's pool is taken or inherited by a fork.

    The connection, its options, serializer and queues are the app's. Messages are transient, since the sweep rings
    for those that a broker loses.
    """

    path = "producer"

    def __init__(self, app: Any, key: Callable[[], bytes], why: str, shared: Collection[str] = ()) -> None:
        """`key` returns what signs the envelopes; it is asked for when the first bell rings.

        `shared`: the queues in which other messages than bells may wait.
        """
        self.why = why
        self._app = app
        self._key = key
        self._shared = shared
        connection = app.connection_for_write()
        self._driver = driver_of(connection)
        self.place = _place(connection)
        self._serializer = serializer_of(app)
        to_do = partial(remedy, url="the broker's URL", of_redis=self._driver == "redis")
        self._sender = Sender(app, Breaker("the broker", BrokerAway, Exception, to_do))

    def ring(self, rows: Sequence[BellRow], keep: Keep) -> bool:
        if self._sender.breaker.is_open and rows:  # nothing is signed in vain
            metrics.PUBLISH_FAILURES.inc()
            keep(rows)
            return False
        sealed = [(row, bell.headers(row, self._key())) for row in rows]
        return self._send(
            [(Taken(headers, row["queue"], self._level(row)), row) for row, headers in sealed if headers], keep
        )

    def put_back(self, messages: Sequence[Taken]) -> bool:
        return self._send([(message, None) for message in messages], lambda rows: None)

    def waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        return self._sender.do(Job(lambda producer: self._sizes(producer, queues))) or dict.fromkeys(queues)

    def bells_waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        alone = [queue for queue in queues if queue not in self._shared]
        return dict.fromkeys(queues) | (self.waiting(alone) if alone else {})

    def problem(self) -> str | None:
        def answered(producer: Any) -> bool:
            with producer.connection.channel():  # a new one: an open connection may be to a broker that is gone
                return True

        job = Job(answered)
        if self._sender.do(job):
            return None
        return self._sender.breaker.explained(job.error) if job.error else f"no answer in {PATIENCE} s"

    def close(self) -> None:
        self._sender.close()

    def _level(self, row: BellRow) -> int:
        return 9 - row["priority"] if self._driver == "redis" else row["priority"]

    def _send(self, items: Sequence[Item], keep: Keep) -> bool:
        if not items:
            return True
        batch = Batch(items, self._publish, keep, self._refused)
        self._sender.do(batch)
        if not batch.is_taken:
            metrics.PUBLISH_FAILURES.inc()
        return batch.is_taken

    def _publish(self, producer: Any, message: Taken) -> None:
        if message.queue not in self._sender.declared:
            declare(self._app, producer, message.queue)
            self._sender.declared.add(message.queue)
        try:
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
        except Exception as error:
            if of_queue(error):
                raise Refused(str(error)) from error
            raise
        self._sender.moved()

    def _refused(self, queue: str, error: Refused) -> None:
        metrics.PUBLISH_FAILURES.inc()
        cause = error.__cause__
        self._sender.breaker.refused(f"bells for the queue {queue}", cause if isinstance(cause, Exception) else error)

    def _sizes(self, producer: Any, queues: Sequence[str]) -> dict[str, int | None]:
        found = {queue: queue_size(producer, queue) for queue in queues}
        self._sender.declared -= {queue for queue, size in found.items() if not size}  # it may have gone
        return found


def _place(connection: Any) -> str:
    """Return where the bells go: as the fast path says it for a Redis whose options it can read."""
    if driver_of(connection) == "redis" and len(connection.alt) < 2:
        try:
            return of_redis(client_of(connection), lists_of(connection))
        except (LookupError, TypeError, ValueError) as error:
            log.debug("the broker's options cannot be read: %s", error)
    return of_connection(connection)
