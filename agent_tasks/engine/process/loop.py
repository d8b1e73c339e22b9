"""The event loop of a worker process, on which all its async steps run."""

import asyncio
import logging
import sys
import threading
import traceback
from asyncio.events import Handle
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from dataclasses import dataclass
from time import monotonic
from types import FrameType
from typing import Any, cast

from agent_tasks.authoring.calls import branches
from agent_tasks.authoring.calls.blocking import STEP_LOOP
from agent_tasks.engine.process.green_loop import new_event_loop

log = logging.getLogger(__name__)
_HANDLE_RUN = Handle._run.__code__  # pyright: ignore[reportPrivateUsage]
_LONGEST_LOOK = 1.0
"""How many seconds one look counts for, at most: the looking thread may have stood still with the whole process."""


@dataclass(frozen=True)
class Blocked:
    """What has kept the loop from its next turn, and for how long."""

    seconds: float
    context: Context | None
    """The context of the code that blocks the loop, if found: it names the run, which may have ended meanwhile."""
    stack: str


class StepLoop:
    """One loop in a thread of its own; `capacity` bounds the async steps that run on it at once.

    Nothing that runs on it ends it: neither SystemExit nor KeyboardInterrupt, which asyncio lets through, nor
    `loop.stop()`.
    """

    def __init__(self, capacity: int, database_threads: Executor, call_threads: Executor) -> None:
        self._capacity = threading.Semaphore(capacity)
        self.database_threads = database_threads
        self.loop = new_event_loop()
        self.loop.set_default_executor(call_threads)  # type: ignore[arg-type]
        setattr(self.loop, STEP_LOOP, database_threads)
        branches.follow(self.loop)
        self.is_abandoned = False
        self._stopped = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turned = threading.Event()
        self._turned.set()
        self._looked_at = monotonic()
        self._blocked_by: Handle | None = None
        self._blocked_seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="agent-tasks-loop", daemon=True)
        self._thread.start()

    def reserve(self, seconds: float | None) -> bool:
        """Whether there is room for one more step within `seconds`; None waits for it.

        `start` takes that room, `free` gives it back.
        """
        return self._capacity.acquire(timeout=seconds)

    def free(self) -> None:
        self._capacity.release()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` on the loop, in room that was reserved, and return at once. From any thread."""
        self.loop.call_soon_threadsafe(self._begin, work)

    def look(self) -> Blocked | None:
        """Look what blocks the loop, and for how long so far; to be called often, from one other thread."""
        now = monotonic()
        seconds, self._looked_at = min(now - self._looked_at, _LONGEST_LOOK), now
        if self._turned.is_set():
            self._turned.clear()
            self._blocked_seconds = 0.0
            self.loop.call_soon_threadsafe(self._turned.set)
            return None
        frame = sys._current_frames().get(self._thread.ident or 0)  # pyright: ignore[reportPrivateUsage]
        handle = _handle_in(frame)
        self._blocked_seconds = self._blocked_seconds + seconds if handle is self._blocked_by else seconds
        self._blocked_by = handle
        context: Context | None = handle._context if handle is not None else None  # type: ignore[attr-defined]
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        return Blocked(self._blocked_seconds, context, stack)

    def abandon(self) -> None:
        """Run nothing on it any more: what is on it is cancelled when it is no longer blocked, and it ends."""
        self.is_abandoned = True
        self.loop.agent_tasks_abandoned = True  # type: ignore[attr-defined]
        self.loop.call_soon_threadsafe(self._cancel_all)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the loop. One that is blocked ends when it no longer is."""
        self._stopped.set()
        self.loop.call_soon_threadsafe(self.loop.stop)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.loop.run_forever()
            except BaseException as error:  # it was raised into whoever awaits that task, too
                log.warning("a task on the event loop raised %s, the loop goes on", type(error).__name__)

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self.loop.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self.free()
        if not task.cancelled() and (error := task.exception()):
            self.loop.call_exception_handler({"message": "an async step broke its executor", "exception": error})

    def _cancel_all(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.call_later(1.0, self.stop)


def _handle_in(frame: FrameType | None) -> Handle | None:
    """The callback that a loop is in the middle of, by the stack of its thread."""
    while frame is not None:
        if frame.f_code is _HANDLE_RUN:
            return cast(Handle, frame.f_locals["self"])
        frame = frame.f_back
    return None
