"""The order in which a step is given outcomes: one at a time, and on a repeat as it was at first."""

import asyncio
import heapq
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakSet

_PASSES = 4
"""Passes of the event loop until the code that an outcome wakes has come to its next wait."""
_GLANCE_SECONDS = 0.001
_GRACE_SECONDS = 0.05
"""How long an outcome waits for an older one that the step has not asked for yet."""


class Earlier(Protocol):
    """The outcomes that a repeated step has not been given back yet."""

    def has_before(self, order: int) -> bool:
        """Whether an outcome that the step first saw before this one is still to be asked for."""
        ...


class Turns:
    """Gives outcomes to the tasks of one step, on their loop.

    Code that follows the order of time (races, `as_completed`, queues) takes the same path again if outcomes come back
    in their order, each when no task of the step can go on without one. This only helps such code: the identity of a
    call does not rest on it.
    """

    def __init__(self, tasks: "WeakSet[asyncio.Task[Any]]", earlier: Earlier | None = None) -> None:
        self._tasks = tasks
        self._earlier = earlier
        self._waiting: list[tuple[int, asyncio.Future[None], bool]] = []
        self._written: dict[int, None] = {}
        self._is_giving = False
        self._passes = 0
        self._doubt_since: float | None = None

    @contextmanager
    def writing(self, order: int) -> Generator[None]:
        """Hold back later outcomes while this one is written for the first time."""
        self.hold([order])
        try:
            yield
        finally:
            self.release(order)

    def hold(self, orders: Sequence[int]) -> None:
        """Hold back outcomes later than these, which are the latest of the step's clock, until each is released."""
        self._written.update(dict.fromkeys(orders))

    def release(self, order: int) -> None:
        """Let later outcomes come: the step has taken this one in, or will not be given it."""
        del self._written[order]

    async def first(self, order: int) -> None:
        """Return when the step may be given an outcome that was just written."""
        if self._is_giving or next(iter(self._written)) != order:
            await self._turn(order, is_repeated=False)
        elif len(self._tasks) > 1:
            self._begin()  # the next one waits until this one has been taken in

    async def again(self, order: int) -> None:
        """Return when a repeated step may be given back an outcome."""
        if len(self._tasks) > 1:
            await self._turn(order, is_repeated=True)

    async def _turn(self, order: int, *, is_repeated: bool) -> None:
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (order, turn, is_repeated))
        if not self._is_giving:
            self._begin()
        await turn

    def _begin(self) -> None:
        self._is_giving, self._passes, self._doubt_since = True, 0, None
        loop = asyncio.get_running_loop()
        loop.call_soon(self._give, loop)

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting and self._waiting[0][1].done():  # cancelled while it waited
            heapq.heappop(self._waiting)
        is_repeated = bool(self._waiting) and self._waiting[0][2]
        self._passes = self._passes + 1 if not is_repeated or all(map(_is_blocked, tuple(self._tasks))) else 0
        if self._passes < _PASSES:
            loop.call_soon(self._give, loop)
        elif not self._waiting:
            self._is_giving = False
        elif self._must_wait(loop.time()):
            loop.call_later(_GLANCE_SECONDS, self._give, loop)
        else:
            self._passes, self._doubt_since = 0, None
            heapq.heappop(self._waiting)[1].set_result(None)
            loop.call_soon(self._give, loop)

    def _must_wait(self, now: float) -> bool:
        order, _, is_repeated = self._waiting[0]
        if next(iter(self._written), order) < order:
            return True
        if not is_repeated or self._earlier is None or not self._earlier.has_before(order):
            return False
        self._doubt_since = now if self._doubt_since is None else self._doubt_since
        return now - self._doubt_since < _GRACE_SECONDS


def _is_blocked(task: "asyncio.Task[Any]") -> bool:
    waiter = getattr(task, "_fut_waiter", None)
    return task.done() or (waiter is not None and not waiter.done())
