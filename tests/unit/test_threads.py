"""The threads of a worker beside its slots."""

import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from agent_tasks.engine.process.threads import CallThreads, DaemonThreads, DatabaseThreads
from tests.eventually import eventually


def named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_a_call_that_never_returns_holds_up_no_exit() -> None:
    program = """
import threading
from agent_tasks.engine.process.threads import CallThreads, DatabaseThreads
begun = threading.Event()
for threads in (CallThreads(2), DatabaseThreads(2)):
    begun.clear()
    threads.submit(lambda: (begun.set(), threading.Event().wait()))
    begun.wait()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_one_thread_for_each_call_that_runs_up_to_a_bound_and_idle_ones_are_used_again() -> None:
    threads, go = DaemonThreads(3, "tests-bound"), threading.Event()
    assert threads.submit(threading.get_ident).result(10) == threads.submit(threading.get_ident).result(10)
    held: list[Future[Any]] = [threads.submit(go.wait) for _ in range(5)]
    assert len(named("tests-bound")) == 3
    go.set()
    assert [future.result(10) for future in held] == [True] * 5
    threads.shutdown()
    eventually(lambda: not named("tests-bound"))


def test_what_a_call_raises_is_the_futures_and_its_thread_goes_on() -> None:
    threads = DaemonThreads(1, "tests-raise")
    with pytest.raises(SystemExit):
        threads.submit(sys.exit, 3).result(10)
    assert threads.submit(len, "abc").result(10) == 3
    threads.shutdown()


def test_what_has_not_begun_is_cancelled_at_the_end_and_nothing_is_taken_any_more() -> None:
    threads, go = DaemonThreads(1, "tests-end"), threading.Event()
    begun = threading.Event()

    def wait() -> bool:
        begun.set()
        return go.wait()

    running = threads.submit(wait)
    begun.wait(10)
    waiting = threads.submit(len, "abc")
    threads.shutdown(cancel_futures=True)
    threads.shutdown(cancel_futures=True)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(len, "abc")
    go.set()
    assert running.result(10)
    eventually(lambda: not named("tests-end"))


@pytest.fixture
def few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that has no more than three threads of ours."""
    start, started = threading.Thread.start, []

    def start_few(thread: threading.Thread) -> None:
        if thread.name.startswith("agent-tasks-"):
            if len(started) == 3:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_few)


@pytest.mark.usefixtures("few_threads")
def test_where_the_system_has_too_few_threads_for_all_of_them_none_is_left() -> None:
    of_other_tests = set(named("agent-tasks-database"))
    with pytest.raises(RuntimeError, match="can't start new thread"):
        DatabaseThreads(16)
    eventually(lambda: set(named("agent-tasks-database")) <= of_other_tests)


@pytest.mark.usefixtures("few_threads")
def test_where_it_has_no_more_a_call_waits_for_one_of_those_that_there_are() -> None:
    threads = CallThreads(500)
    go = threading.Event()
    held: list[Future[Any]] = [threads.submit(go.wait) for _ in range(4)]
    go.set()
    assert [future.result(10) for future in held] == [True] * 4
    threads.shutdown()
