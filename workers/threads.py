"""The threads of a worker beside its slots: for Postgres, and for the plain code of async steps."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from agent_tasks.surroundings import plain_surroundings
from workers.forks import leave_if_child
from workers.run import StepRun, running

P = ParamSpec("P")
T = TypeVar("T")


class CallThreads(ThreadPoolExecutor):
    """A thread for each plain call of an async step that runs now, up to a bound; idle ones are used again.

    The loop's default executor, and so also what `asyncio.to_thread` uses, and what looks up the names of hosts. (That
    of asyncio has four threads more than there are processors, whoever holds them.)
    """

    def __init__(self, most: int) -> None:
        super().__init__(most, thread_name_prefix="agent-tasks-call")
        self.most = most
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


def database_threads(number: int) -> ThreadPoolExecutor:
    """For the commits and calls of async steps. All are started at once: a step may use up what threads there are."""
    threads = ThreadPoolExecutor(number, thread_name_prefix="agent-tasks-database")
    all_there = threading.Barrier(number + 1)
    for _ in range(number):
        threads.submit(all_there.wait)
    all_there.wait()
    return threads
