"""Celery's connection to Redis: kombu's transport, changed so that it serves as a doorbell."""

import logging
from collections.abc import Callable
from typing import Any

import redis
from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from agent_tasks.doorbell.outcome import ENDED, FAILED
from agent_tasks.doorbell.redis_url import is_full

log = logging.getLogger(__name__)
_FIRST_SECONDS, _LONGEST_SECONDS = 0.5, 2.0
"""The first and longest wait between attempts to connect; kombu's grow to 30 s, even after Redis is back."""


_KEPT = (ENDED, FAILED, None)
"""Tasks whose messages are kept until they are acknowledged. None: it is not in the headers, as in old protocols."""


_KEPT_SECONDS = 60
"""After how long such a message is delivered again: longer than the longest pause until its end is told once more."""


class DoorbellQoS(kombu_redis.QoS):
    """Takes a bell off Redis for good. kombu keeps a copy of each message until it is acknowledged, in two round trips
    a message, and delivers it again after the visibility timeout; here the sweep rings again for what was lost.

    Nobody rings for a message that tells of the end of a Celery task: of those there is a copy. The copies are apart
    from those of a team's workers, since a consumer restores whatever has been there for longer than it thinks right.

    Messages taken but not begun when a worker ends are put back, if Redis is there. (kombu raises if it is not,
    which ends a worker: "Unrecoverable error: 'NoneType' object has no attribute 'hostname'".)
    """

    channel: Any
    _delivered: Any
    unacked_key: Any = "unacked-agent-tasks"
    unacked_index_key: Any = "unacked-agent-tasks-index"
    unacked_mutex_key: Any = "unacked-agent-tasks-mutex"
    unacked_mutex_expire: Any = 10

    def __init__(self, channel: Any, prefetch_count: int = 0) -> None:
        super().__init__(channel, prefetch_count)
        self.visibility_timeout: Any = min(_KEPT_SECONDS, channel.visibility_timeout)
        self._kept: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:
        if message.headers.get("task") in _KEPT:
            try:
                super().append(message, delivery_tag)
                self._kept.add(delivery_tag)
                return
            except redis.RedisError as error:
                log.warning("a message is taken without a copy in Redis, its loss would not be noticed: %s", error)
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if delivery_tag in self._kept:
            self._kept.discard(delivery_tag)
            super().ack(delivery_tag)
        else:
            virtual.QoS.ack(self, delivery_tag)

    def restore_unacked(self, client: Any = None) -> Any:
        self._flush()
        try:
            with self.channel.conn_or_acquire(client) as client, client.pipeline() as pipeline:
                for tag, message in reversed(self._delivered.items()):  # the oldest last: it is to be taken first again
                    self._put_back(message, pipeline)
                    if tag in self._kept:
                        self._remove_from_indices(tag, pipeline)
                pipeline.execute()
        except Exception as error:
            log.warning("messages were not put back; the sweep sends others: %s", error)
        self._delivered.clear()
        return []

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 1) -> None:
        """Put back what a worker took and died with; each time that kombu asks, which it does every ten seconds."""
        try:
            super().restore_visible(start, num, interval=1)
        except redis.ResponseError as error:  # such as for want of rights, or of memory; another worker may have them
            log.warning("messages that dead workers had taken were not put back, it is tried again: %s", error)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        message = self._delivered.get(delivery_tag) if requeue else None
        if message is not None:  # a message that came twice has one tag, and the other is acknowledged
            with self.channel.conn_or_acquire() as client:
                self._put_back(message, client, last=True)
        self.ack(delivery_tag)

    def _put_back(self, message: Any, client: Any, *, last: bool = False) -> None:
        where = message.delivery_info
        self.channel._do_restore_message(message._raw, where["exchange"], where["routing_key"], client, last)


class _Doorbell(kombu_redis.Channel):
    QoS = DoorbellQoS
    may_ask: Callable[[], bool] = staticmethod(lambda: True)
    """Whether Redis may be asked for a message. An answer to an earlier request is taken all the same:
    `QoS.can_consume` would leave it on the socket, where nobody else gets it."""

    def _brpop_start(self, *timeout: Any, **options: Any) -> None:
        """Ask, for as long as kombu does by default: up to 5.4 that is a second, and None would be forever."""
        if self.may_ask():
            super()._brpop_start(*timeout, **options)

    def _queue_bind(self, exchange: Any, routing_key: Any, pattern: Any, queue: Any) -> None:
        """Note a queue's binding in Redis; if Redis is full, go on, since taking messages is what makes room."""
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)
        except redis.ResponseError as error:
            if not is_full(error):
                raise
            log.error("Redis is full; messages are taken all the same: %s", error)


class _SentinelDoorbell(_Doorbell, kombu_redis.SentinelChannel):
    pass


class Transport(kombu_redis.Transport):
    Channel = _Doorbell


class SentinelTransport(kombu_redis.SentinelTransport):
    Channel = _SentinelDoorbell


class DoorbellConnection(Connection):
    """A connection, made again within two seconds of its server's return: by one of these transports to a Redis."""

    def get_transport_cls(self) -> Any:
        found: Any = super().get_transport_cls()
        of_redis: dict[Any, Any] = {
            kombu_redis.Transport: Transport,
            kombu_redis.SentinelTransport: SentinelTransport,
        }
        return of_redis.get(found, found)

    def _ensure_connection(
        self,
        errback: Any = None,
        max_retries: int | None = None,
        interval_start: Any = _FIRST_SECONDS,
        interval_step: Any = _FIRST_SECONDS,
        interval_max: Any = _LONGEST_SECONDS,
        *args: Any,
        **options: Any,
    ) -> Any:
        intervals: Any = (interval_start, interval_step, min(interval_max, _LONGEST_SECONDS))
        return super()._ensure_connection(errback, max_retries, *intervals, *args, **options)


class DoorbellAMQP(AMQP):
    Connection = DoorbellConnection
