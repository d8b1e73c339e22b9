"""What a deployment has is made with its first use, and once."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import agent_tasks
from agent_tasks import AgentTasks, Settings
from agent_tasks import deployment as module

SETTINGS = Settings(database_url="postgresql://nobody@localhost:1/none", redis_url="redis://localhost:1/0")
SECONDS = 20


def test_threads_that_use_a_deployment_at_once_have_one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the lock of functools.cached_property, of which later releases of Python have none."""
    both, made = threading.Barrier(2), []

    def slow(*_: Any) -> Any:
        made.append(object())
        both.wait(SECONDS)
        return made[-1]

    monkeypatch.setattr(module, "open_bells", slow)
    deployment = AgentTasks(SETTINGS)
    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(lambda: deployment.bells) for _ in range(8)]
        both.wait(SECONDS)
        assert {id(each.result(SECONDS)) for each in found} == {id(made[0])}
    assert len(made) == 1


def test_threads_that_submit_first_at_once_have_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    both, made = threading.Barrier(2), []

    def slow(settings: Any) -> Any:
        made.append(object())
        both.wait(SECONDS)
        return made[-1]

    monkeypatch.setattr(agent_tasks, "_default", None)
    monkeypatch.setattr(agent_tasks, "AgentTasks", slow)
    with ThreadPoolExecutor(4) as threads:
        found = [threads.submit(agent_tasks.default) for _ in range(4)]
        both.wait(SECONDS)
        assert {id(each.result(SECONDS)) for each in found} == {id(made[0])}
    assert len(made) == 1


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_child_that_is_forked_while_a_thread_makes_something_makes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    at_it, goes_on, parent = threading.Event(), threading.Event(), os.getpid()

    def slow(*_: Any) -> Any:
        if os.getpid() == parent:
            at_it.set()
            goes_on.wait(SECONDS)
        return os.getpid()

    monkeypatch.setattr(module, "open_bells", slow)
    deployment = AgentTasks(SETTINGS)
    thread = threading.Thread(target=lambda: deployment.bells)
    thread.start()
    assert at_it.wait(SECONDS)
    child = os.fork()
    if not child:
        signal.alarm(SECONDS)
        os._exit(0 if deployment.bells == os.getpid() else 1)
    _, status = os.waitpid(child, 0)
    goes_on.set()
    thread.join()
    assert (os.waitstatus_to_exitcode(status), deployment.bells) == (0, parent)
