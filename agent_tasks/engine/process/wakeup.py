"""Celery's event loop looks for a message at once where it can take one again: it would sleep for up to a second."""

import socket
from typing import Any

_MOST_BYTES = 4096


class Waker:
    """Interrupts the sleep of Celery's event loop from another thread. (Old versions of kombu's `call_soon` do not.)"""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)

    def attach(self) -> None:
        """Have the loop listen; for each connection to the broker anew: with a lost one it forgets."""
        self._hub.add_reader(self._reading, self._drain)

    def wake(self) -> None:
        try:
            self._writing.send(b"\0")
        except BlockingIOError:
            return  # so many are unread that the loop wakes anyhow

    def wake_when_freed(self, pool: Any) -> None:
        """Wake the loop after each task of a pool of threads.

        While all slots are taken, `worker_disable_prefetch` takes the queue off the loop, which then sleeps for a
        second unless something wakes it. The children of a prefork pool do, with their results; threads do not.
        """
        apply = pool.on_apply

        def on_apply(*args: Any, **kwargs: Any) -> Any:
            result = apply(*args, **kwargs)
            result.f.add_done_callback(lambda _: self.wake())
            return result

        pool.on_apply = on_apply

    def _drain(self) -> None:
        self._reading.recv(_MOST_BYTES)
