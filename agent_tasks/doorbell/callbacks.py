"""Who waits for word of which channel, wherever the word comes from."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager

log = logging.getLogger(__name__)
Callback = Callable[[str | None], None]


class Callbacks(ABC):
    """Calls back on messages of channels.

    A callback is called from the listening thread with the message's text, or with None when word may have been
    missed, so that it looks for itself. Word is never needed: all who wait poll Postgres too.

    Listening and forgetting never block, even on an event loop: a separate thread tells the server.
    """

    hears = True
    """False where no word comes at all, so that all depends on polling."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[str, list[Callback]] = {}
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()

    @contextmanager
    def listening(self, channel: str, callback: Callback) -> Generator[None]:
        self.listen(channel, callback)
        try:
            yield
        finally:
            self.forget(channel, callback)

    def listen(self, channel: str, callback: Callback) -> None:
        with self._lock:
            self._callbacks.setdefault(channel, []).append(callback)
            self._subscribe(channel)
            if not self._threads:
                for work in self._duties():
                    thread = threading.Thread(target=work, name="agent-tasks-notices", daemon=True)
                    thread.start()
                    self._threads.append(thread)

    def forget(self, channel: str, callback: Callback) -> None:
        with self._lock:
            callbacks = self._callbacks[channel]
            callbacks.remove(callback)
            if not callbacks:
                del self._callbacks[channel]
                self._unsubscribe(channel)

    @abstractmethod
    def close(self) -> None:
        """End the threads."""

    @abstractmethod
    def _duties(self) -> tuple[Callable[[], None], ...]:
        """What threads are for, which begin with the first callback."""

    @abstractmethod
    def _subscribe(self, channel: str) -> None:
        """Have the server told, soon, that this channel is listened to. Called with the lock."""

    @abstractmethod
    def _unsubscribe(self, channel: str) -> None:
        """Have the server told, soon, that nobody listens to this channel any more. Called with the lock."""

    def _dispatch(self, channels: list[str], text: str | None) -> None:
        with self._lock:
            callbacks = [callback for channel in channels for callback in self._callbacks.get(channel, ())]
        for callback in callbacks:
            try:
                callback(text)
            except Exception:  # one caller's closed event loop must not deafen all others
                log.exception("a callback for a change failed")
