"""The event loop of a worker process, on which all its async steps run."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class StepLoop:
    """One loop in a thread of its own, with a few threads for blocking database work.

    `capacity` bounds the async steps that run at once: `start` blocks when it is reached, and with it the
    slot, so that the worker stops taking messages.
    """

    def __init__(self, capacity: int, database_threads: int) -> None:
        self._capacity = threading.Semaphore(capacity)
        self.loop = asyncio.new_event_loop()
        self.database_threads = ThreadPoolExecutor(database_threads, thread_name_prefix="agent-tasks-database")
        self.loop.agent_tasks_database_threads = self.database_threads  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self.loop.run_forever, name="agent-tasks-loop", daemon=True)
        self._thread.start()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` on the loop and return at once. From any thread."""
        self._capacity.acquire()
        self.loop.call_soon_threadsafe(self._begin, work)

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self.loop.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._capacity.release()
        if not task.cancelled() and (error := task.exception()):
            self.loop.call_exception_handler({"message": "an async step broke its executor", "exception": error})

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=2.0)
        self.database_threads.shutdown(wait=False, cancel_futures=True)
