"""An event loop in a greenlet of gevent's: the other greenlets of its thread do not see that it runs."""

import asyncio
import selectors
import sys
from asyncio.events import _get_running_loop, _set_running_loop  # pyright: ignore[reportPrivateUsage]
from typing import Any


def greenlets_are_threads() -> bool:
    """Whether gevent has patched this process, so that what it calls threads are greenlets of one thread."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop for a thread, or what stands for one."""
    return GreenLoop() if greenlets_are_threads() else asyncio.new_event_loop()


class GreenLoop(asyncio.SelectorEventLoop):
    """A loop that hides while it waits. Python knows the running loop, and the hooks for async generators, by the
    thread: one of a neighbour's greenlet could not begin beside it, and would find ours in the place of its own.
    """

    def __init__(self) -> None:
        self._outside: tuple[Any, Any] = (None, (None, None))
        loop = self

        class Selector(selectors.DefaultSelector):  # gevent's: it lets other greenlets run
            def select(self, timeout: float | None = None) -> Any:
                inside = _swap(loop._outside)
                try:
                    return super().select(timeout)
                finally:
                    loop._outside = _swap(inside)

        super().__init__(Selector())

    def run_forever(self) -> None:
        self._outside = _swap((None, (None, None)))
        try:
            super().run_forever()
        finally:
            _swap(self._outside)


def _swap(new: tuple[Any, Any]) -> tuple[Any, Any]:
    """Put `new` in the place of the running loop and the hooks of this thread, which are returned."""
    old = _get_running_loop(), sys.get_asyncgen_hooks()
    _set_running_loop(new[0])
    sys.set_asyncgen_hooks(*new[1])
    return old
