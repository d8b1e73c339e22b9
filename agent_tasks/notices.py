"""Word of changes from Redis: one subscription per process that wakes whoever waits for a task."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import redis

log = logging.getLogger(__name__)
_RECONNECT_SECONDS = 1.0


class Notices:
    """Calls back on messages of Redis channels.

    A callback is called from the listening thread, with the message's text; with None when word may have been
    missed (Redis was away), so that it looks for itself. Redis is never needed: who waits polls Postgres, too.
    """

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        self._lock = threading.RLock()
        self._callbacks: dict[str, list[Callable[[str | None], None]]] = {}
        self._pubsub: Any = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._is_away = False

    @contextmanager
    def listening(self, channel: str, callback: Callable[[str | None], None]) -> Generator[None]:
        self.listen(channel, callback)
        try:
            yield
        finally:
            self.forget(channel, callback)

    def listen(self, channel: str, callback: Callable[[str | None], None]) -> None:
        with self._lock:
            self._callbacks.setdefault(channel, []).append(callback)
            self._send("subscribe", channel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="agent-tasks-notices", daemon=True)
                self._thread.start()

    def forget(self, channel: str, callback: Callable[[str | None], None]) -> None:
        with self._lock:
            callbacks = self._callbacks[channel]
            callbacks.remove(callback)
            if not callbacks:
                del self._callbacks[channel]
                self._send("unsubscribe", channel)

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            if self._pubsub is not None:
                self._pubsub.close()

    def _send(self, command: str, channel: str) -> None:
        if self._pubsub is None:
            return  # the listening thread subscribes to all channels when it connects
        try:
            getattr(self._pubsub, command)(channel)
        except redis.RedisError:
            log.debug("redis is away, the listening thread will connect again")

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen_until_broken()
            except Exception as error:  # of many kinds where the connection was closed while it was read
                if self._closed.is_set():
                    return
                if not self._is_away:
                    log.warning("redis is away, waiting falls back to polling: %s", error)
                self._is_away = True
            with self._lock:
                if self._pubsub is not None:
                    self._pubsub.close()
                self._pubsub = None
            self._closed.wait(_RECONNECT_SECONDS)

    def _listen_until_broken(self) -> None:
        pubsub: Any = self._client.pubsub()
        with self._lock:
            self._pubsub = pubsub
            channels = list(self._callbacks)
            pubsub.subscribe(*channels, "agent-tasks:keepalive")
        if self._is_away:
            log.info("redis is back")
        self._is_away = False
        self._dispatch(channels, None)
        while not self._closed.is_set():
            message = pubsub.get_message(timeout=5.0)
            if message is None:
                with self._lock:
                    pubsub.ping()
            elif message["type"] in ("message", "subscribe"):
                # a confirmed subscription is word, too: what happened before it was not heard
                text = message["data"].decode() if message["type"] == "message" else None
                self._dispatch([message["channel"].decode()], text)

    def _dispatch(self, channels: list[str], text: str | None) -> None:
        with self._lock:
            callbacks = [callback for channel in channels for callback in self._callbacks.get(channel, ())]
        for callback in callbacks:
            try:
                callback(text)
            except Exception:  # one caller's closed event loop must not deafen all others
                log.exception("a callback for a change failed")
