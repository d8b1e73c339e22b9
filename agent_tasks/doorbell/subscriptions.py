"""Word of changes from Redis: one subscription per process, which wakes everyone who waits for a task."""

import logging
import queue
from collections.abc import Callable
from time import monotonic
from typing import Any

import redis

from agent_tasks.doorbell.callbacks import Callbacks
from agent_tasks.doorbell.redis_url import remedy

log = logging.getLogger(__name__)
_RECONNECT_SECONDS = 1.0
_PING_SECONDS = 2.0
"""The seconds of silence before a ping; three times as long ends the connection."""


class Notices(Callbacks):
    """Calls back on messages of Redis channels."""

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__()
        self._client = client
        self._commands: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
        self._pubsub: Any = None
        self._is_away = False

    def _duties(self) -> tuple[Callable[[], None], ...]:
        return self._run, self._send

    def _subscribe(self, channel: str) -> None:
        self._commands.put(("subscribe", channel))

    def _unsubscribe(self, channel: str) -> None:
        self._commands.put(("unsubscribe", channel))

    def close(self) -> None:
        self._closed.set()
        self._commands.put(())

    def _send(self) -> None:
        while command := self._commands.get():
            pubsub, (name, *channels) = self._pubsub, command
            if pubsub is None:
                continue  # the listening thread subscribes to all channels when it connects
            try:
                getattr(pubsub, name)(*channels)
            except Exception as error:  # errors of many kinds, as below: that thread connects again
                log.debug("Redis cannot be reached; the listening thread will connect again: %s", error)

    def _run(self) -> None:
        while not self._closed.is_set():
            pubsub: Any = self._client.pubsub()
            try:
                self._listen_until_broken(pubsub)
            except Exception as error:  # errors of many kinds where the connection was closed while it was read
                if not self._is_away and not self._closed.is_set():
                    said = ": ".join(filter(None, (str(error), remedy(error))))
                    log.warning("Redis cannot be reached; waiting polls Postgres instead: %s", said)
                self._is_away, self.hears = True, False
            self._pubsub = None
            pubsub.close()
            self._closed.wait(_RECONNECT_SECONDS)

    def _listen_until_broken(self, pubsub: Any) -> None:
        pubsub.subscribe("agent-tasks:keepalive")
        with self._lock:
            self._pubsub = pubsub
            channels = list(self._callbacks)
            if channels:
                self._commands.put(("subscribe", *channels))
        if self._is_away:
            log.info("Redis is back")
        self._is_away, self.hears = False, True
        heard_at = monotonic()
        while not self._closed.is_set():
            message = pubsub.get_message(timeout=_PING_SECONDS)
            if message is not None:
                heard_at = monotonic()
            elif monotonic() - heard_at > 3 * _PING_SECONDS:
                raise redis.TimeoutError("pings are not answered")
            else:
                self._commands.put(("ping",))
            if message is not None and message["type"] in ("message", "subscribe"):
                # a confirmed subscription is word, too: what happened before it was not heard
                text = message["data"].decode() if message["type"] == "message" else None
                self._dispatch([message["channel"].decode()], text)
