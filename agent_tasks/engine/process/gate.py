"""The gate: a process takes messages only while its heartbeat reaches Postgres."""

import logging
import os
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class NotTaken(Exception):
    """Raised for a message whose step could not be claimed, because of `__cause__`: it is to be put back."""


class Gate:
    """A gate that is closed until the worker is registered and beats, and while Postgres does not answer it."""

    def __init__(self, tell: Callable[[bool], None] = lambda is_open: None) -> None:
        """`tell` hears of each `open`, and of each `close` that changed anything."""
        self._tell = tell
        self._open = threading.Event()
        self._known = threading.Event()
        self._lock = threading.Lock()
        self._why: str | None = None

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    def open(self) -> None:
        with self._lock:
            changed = not self.is_open
            self._why = None
            self._open.set()
        self._known.set()
        if changed:
            log.info("takes steps: pid=%d", os.getpid())
        self._tell(True)

    def close(self, why: str, error: object = None) -> None:
        """Take no message until it is opened. One line in the log for each new reason, however often it comes."""
        with self._lock:
            was_open, is_new = self.is_open, self._why != why
            self._why = why
            self._open.clear()
        self._known.set()
        if is_new:
            log.warning("takes no steps: %s%s", why, "" if error is None else f": {' '.join(str(error).split())}")
        if was_open:
            self._tell(False)

    def wait(self, seconds: float) -> bool:
        return self._open.wait(seconds)

    def wait_for_first(self, seconds: float) -> None:
        """Wait until it is opened, or closed for a reason, for the first time; it begins closed without one."""
        if not self._known.is_set():
            self._known.wait(seconds)
            self._known.set()


class Wire:
    """Tells the parent of a prefork pool, which takes the messages, whether its children can serve them.

    Made before the children, which inherit it. Any child that can opens the parent's gate; any that cannot closes it
    until one can again.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)

    def tell(self, is_open: bool) -> None:
        try:
            os.write(self._writing, b"1" if is_open else b"0")
        except BlockingIOError:
            log.warning("the pool's parent process does not answer")

    def listen(self, gate: Gate) -> None:
        threading.Thread(target=self._listen, args=(gate,), name="agent-tasks-gate", daemon=True).start()

    def _listen(self, gate: Gate) -> None:
        while heard := os.read(self._reading, 4096):
            if heard.endswith(b"1"):
                gate.open()
            else:
                gate.close("a process of the pool does not reach postgres")
