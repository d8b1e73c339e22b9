"""Where a write comes from: the door it took, and who stood there."""

import functools
import getpass
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from agent_tasks.storable import storable
from agent_tasks.task.identity import Identity

DOORS = ("python", "cli", "http", "console", "hook", "a2a", "mcp", "agentcore")
"""Whatever writes come through."""


@functools.cache
def here() -> str:
    """Return `user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user that has no name
        user = str(os.getuid())
    return storable(f"{user}@{socket.gethostname()}")


@dataclass(frozen=True, slots=True)
class Origin:
    """A door (one of `DOORS`) and the place from where somebody came through it."""

    door: str = "python"
    place: str = field(default_factory=here)
    identity: Identity | None = None
    """Who came, if the door knows; None: whoever the write acts as."""
    key_id: str | None = None
    """The API key that was shown at the door."""
    tenant: str = ""
    """The tenant in whose name somebody came whom the door does not know."""
    traceparent: str | None = None
    """The span that the request says it is a part of."""

    def writer(self, identity: Identity | None) -> Identity | None:
        """Return who writes what acts as `identity`; None: a trusted program."""
        return self.identity or identity

    def name_of_writer(self, identity: Identity | None) -> str:
        """Return their subject, or of a trusted program the place."""
        who = self.writer(identity)
        return who.subject if who else self.place


_current: ContextVar[Origin | None] = ContextVar("agent_tasks_origin", default=None)


def current() -> Origin:
    """Return the origin of what is written in this context: by default a Python program on this machine."""
    return _current.get() or _python()


@functools.cache
def _python() -> Origin:
    return Origin()


@contextmanager
def through(origin: Origin) -> Generator[None]:
    """Give whatever is written within, in this thread or async task, that origin."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)
