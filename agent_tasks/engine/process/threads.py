"""The threads of a worker beside its slots: for Postgres, and for the plain code of async steps."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

from agent_tasks.authoring.surroundings import plain_surroundings
from agent_tasks.engine.process.forks import leave_if_child
from agent_tasks.engine.steps.run import StepRun, running

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(ThreadPoolExecutor):
    """Threads that hold up no exit of the process: one may be in a call that never returns.

    Python waits at its exit for each thread of its own executor, and asyncio takes no default executor but one of that
    class: it is one by name, and starts none of its threads.
    """

    def __init__(self, most: int, name: str) -> None:
        super().__init__(most, thread_name_prefix=name)
        self.most = most
        self._name = name
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._guard = threading.Lock()
        self._started = 0
        self._free = 0
        """Threads without work, less the work that waits for one."""
        self._is_shut = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        future: Future[T] = Future()
        with self._guard:
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._free <= 0 and self._started < self.most:
                try:
                    self._start_one()
                except RuntimeError as error:  # the system has no more: it waits for one of those that there are
                    if not self._started:
                        raise
                    log.warning("no thread beside %d others: %s", self._started, error)
            self._free -= 1
            self._waiting.put((future, partial(fn, *args, **kwargs)))
        return future

    def start_all(self) -> None:
        """Start every thread now. Raises RuntimeError, with none left, where the system has not so many."""
        try:
            with self._guard:
                while self._started < self.most:
                    self._start_one()
        except RuntimeError:
            self.shutdown(wait=False)
            raise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work, and end each thread when it has done what was given before. It never waits."""
        with self._guard:
            was_shut, self._is_shut = self._is_shut, True
            if was_shut:
                return
            if cancel_futures:
                self._cancel_waiting()
            for _ in range(self._started):
                self._waiting.put(None)

    def _cancel_waiting(self) -> None:
        try:
            while (left := self._waiting.get_nowait()) is not None:
                left[0].cancel()
        except Empty:
            return

    def _start_one(self) -> None:
        threading.Thread(target=self._work, name=f"{self._name}_{self._started}", daemon=True).start()
        self._started += 1
        self._free += 1

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                try:
                    answer = call()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(answer)
                    del answer
            del future, call, item  # so that an idle thread keeps nothing alive
            with self._guard:
                self._free += 1


class CallThreads(DaemonThreads):
    """Threads for the plain calls of async steps, one for each that runs now, up to a bound; idle ones are used again.

    The loop's default executor, and so also what `asyncio.to_thread` uses, and what looks up the names of hosts. (That
    of asyncio has four threads more than there are processors, whoever holds them.)
    """

    def __init__(self, most: int) -> None:
        super().__init__(most, "agent-tasks-call")
        self._lock = threading.Lock()
        self._busy: dict[object, StepRun | None] = {}

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        return super().submit(self._run, running.get(), partial(fn, *args, **kwargs))

    def left_behind(self) -> list[StepRun]:
        """The steps, ended by now, of the calls that still go on: one for each thread that is lost to them."""
        with self._lock:
            return [run for run in self._busy.values() if run is not None and (run.returned or run.given_up)]

    def _run(self, run: StepRun | None, call: Callable[[], T]) -> T:
        mark = object()
        with self._lock:
            self._busy[mark] = run
        try:
            with plain_surroundings():
                value = call()
        except BaseException as error:
            leave_if_child(error)
            if isinstance(error, StopIteration):  # no future takes it, and who awaits that would wait for ever
                raise RuntimeError("a plain call raised StopIteration") from error
            raise
        else:
            leave_if_child()
            return value
        finally:
            with self._lock:
                del self._busy[mark]


class DatabaseThreads(DaemonThreads):
    """Threads for the commits and calls of async steps.

    What one step asks for at once has a quarter of them: all of it may wait for a row that somebody else has locked.
    All are started at once: a step may use up what threads there are.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number, "agent-tasks-database")
        self._most = max(1, number // 4)
        self._lock = threading.Lock()
        self._lines: dict[StepRun, _Line] = {}
        self.start_all()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        run = running.get()
        if run is None:
            return super().submit(fn, *args, **kwargs)
        future: Future[T] = Future()
        with self._lock:
            line = self._lines.setdefault(run, _Line())
            line.waiting.append((future, partial(fn, *args, **kwargs)))
            if line.threads == self._most:
                return future
            line.threads += 1
        super().submit(self._serve, run, line)
        return future

    def _serve(self, run: StepRun, line: "_Line") -> None:
        while True:
            with self._lock:
                if not line.waiting:
                    line.threads -= 1
                    if not line.threads:
                        del self._lines[run]
                    return
                future, call = line.waiting.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)


@dataclass
class _Line:
    """The requests of a step that have not begun, and the threads that see to them."""

    waiting: deque[tuple["Future[Any]", Callable[[], Any]]] = field(default_factory=deque)
    threads: int = 0
