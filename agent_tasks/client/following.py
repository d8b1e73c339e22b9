"""Following a task to its end: listen for word of a change and look, or else look ever less often."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager

from agent_tasks.client.watched import WatchedTask
from agent_tasks.doorbell import mirror
from agent_tasks.task.arguments import checked_timeout
from agent_tasks.task.snapshot import TaskSnapshot

FIRST_POLL_SECONDS, SLOWEST_POLL_SECONDS = 1.0, 30.0
"""How long to wait for word before looking without it; doubled each time that nothing has changed."""
DEAF_FIRST_POLL_SECONDS, DEAF_SLOWEST_POLL_SECONDS = 0.2, 2.0
"""The same where no word comes at all."""
_MOST_DOUBLINGS = 16


def pace(task: WatchedTask) -> tuple[float, float]:
    """How long to wait before the first look without word, and at most between two."""
    if task.deployment.notices.hears:
        return FIRST_POLL_SECONDS, SLOWEST_POLL_SECONDS
    return DEAF_FIRST_POLL_SECONDS, DEAF_SLOWEST_POLL_SECONDS


def follow(
    task: WatchedTask, timeout: float | None = None, *, slowest: float = SLOWEST_POLL_SECONDS
) -> Iterator[TaskSnapshot]:
    """Yield the task as it stands, then at each word or look without one, until it has ended.

    `timeout` is seconds for all of it, after which TimeoutError is raised. `slowest`: the most seconds between looks.
    """
    timeout = checked_timeout(timeout)
    changed = threading.Event()
    with _listening(task, changed.set):
        looks = _Looks(task, timeout, lambda: _at_most(pace(task), slowest))
        yield looks.seen
        while (seconds := looks.patience()) is not None:
            heard = changed.wait(seconds)
            changed.clear()
            yield looks.look(heard)


async def follow_async(task: WatchedTask, timeout: float | None, threads: Executor) -> AsyncGenerator[TaskSnapshot]:
    """Follow a task on an event loop without blocking it: looks run in `threads`, and listening takes none of them."""
    timeout = checked_timeout(timeout)
    loop = asyncio.get_running_loop()
    with hearing(task) as changed:
        looks = await loop.run_in_executor(threads, _Looks, task, timeout, lambda: pace(task))
        yield looks.seen
        while (seconds := looks.patience()) is not None:
            heard = await is_set_within(changed, seconds)
            changed.clear()
            yield await loop.run_in_executor(threads, looks.look, heard)


@contextmanager
def hearing(task: WatchedTask) -> Generator[asyncio.Event]:
    """An event of the running loop that is set at each word of a change, and where word may have been missed."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    with _listening(task, lambda: loop.call_soon_threadsafe(changed.set) and None):
        yield changed


def _listening(task: WatchedTask, changed: Callable[[], None]) -> AbstractContextManager[None]:
    return task.deployment.notices.listening(mirror.key(task.id), lambda _: changed())


async def is_set_within(changed: asyncio.Event, seconds: float) -> bool:
    """Whether an event is set, or becomes so within these seconds."""
    try:
        await asyncio.wait_for(changed.wait(), seconds)
    except TimeoutError:
        return False
    return True


class _Looks:
    """Looks at a task, and decides how long to listen between looks."""

    def __init__(self, task: WatchedTask, timeout: float | None, pace: Callable[[], tuple[float, float]]) -> None:
        """`pace` returns the seconds before the first look without word, and the most between two."""
        self._task = task
        self._timeout = timeout
        self._ends = None if timeout is None else time.monotonic() + timeout
        self._pace = pace
        self._unheard = 0
        """Looks without word that have found nothing, one after the other."""
        self.seen = task.look()

    def patience(self) -> float | None:
        """Return how long to listen before the next look; None once the task has ended. Raises TimeoutError."""
        if self.seen.status.is_terminal:
            return None
        first, slowest = self._pace()
        left = slowest if self._ends is None else self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(
                f"task {self._task.id} is still {self.seen.status} after {self._timeout:g} s; it goes on"
            )
        return min(first * 2**self._unheard, slowest, left)

    def look(self, heard: bool) -> TaskSnapshot:
        """Return the task after word was or was not heard; if not, ask Postgres, as word may have been lost."""
        before, self.seen = self.seen, self._task.look() if heard else self._task.read()
        is_new = self.seen.version > before.version
        self._unheard = 0 if is_new else min(self._unheard + 1, _MOST_DOUBLINGS)
        return self.seen


def _at_most(pace: tuple[float, float], slowest: float) -> tuple[float, float]:
    return min(pace[0], slowest), min(pace[1], slowest)
