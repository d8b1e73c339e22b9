"""@async_task: its job ends with the function, however that ends."""

import asyncio
import logging
import threading
from typing import Any

import pytest

from agent_tasks import agentcore
from agent_tasks.store.errors import ServerAway


class Jobs:
    """Jobs as Postgres has them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open: set[int] = set()
        self.adding, self.may_add = threading.Event(), threading.Event()
        self.may_add.set()
        self.away: Exception | None = None
        monkeypatch.setattr(agentcore, "add_async_task", self._add)
        monkeypatch.setattr(agentcore, "complete_async_task", self._complete)

    def _add(self, name: str) -> int:
        self.adding.set()
        assert self.may_add.wait(10)
        if self.away:
            raise self.away
        self.open.add(7)
        return 7

    def _complete(self, job: int) -> bool:
        if self.away:
            raise self.away
        self.open.remove(job)
        return True


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    return Jobs(monkeypatch)


def test_a_function_that_is_cancelled_while_its_job_is_added_leaves_none(jobs: Jobs) -> None:
    jobs.may_add.clear()
    begun: list[Any] = []

    @agentcore.async_task
    async def work() -> None:
        begun.append(True)

    async def cancel() -> None:
        working = asyncio.create_task(work())
        await asyncio.to_thread(jobs.adding.wait, 10)
        working.cancel()
        await asyncio.sleep(0)
        jobs.may_add.set()
        with pytest.raises(asyncio.CancelledError):
            await working

    asyncio.run(cancel())
    assert (begun, jobs.open) == ([], set())


def test_a_job_that_cannot_be_completed_hides_no_result(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    @agentcore.async_task
    async def work() -> str:
        jobs.away = ServerAway("away")
        return "done"

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(work()) == "done"
    assert "job not completed" in caplog.text


def test_a_function_whose_job_cannot_be_added_does_not_begin(jobs: Jobs) -> None:
    jobs.away = ServerAway("away")

    @agentcore.async_task
    async def work() -> None:
        raise AssertionError

    with pytest.raises(ServerAway, match="away"):
        asyncio.run(work())


def test_the_job_of_a_function_that_fails_is_over(jobs: Jobs) -> None:
    @agentcore.async_task
    async def work() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(work())
    assert jobs.open == set()
