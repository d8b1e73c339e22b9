"""Following a task: how long word is waited for between looks, and which look is taken."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from agent_tasks import TaskStatus
from agent_tasks.client.following import SLOWEST_POLL_SECONDS, _Looks


class Task:
    """Says of each look where it was taken; each is given the next of the versions, and the last of them has ended."""

    id = "the task"

    def __init__(self, *versions: int) -> None:
        self.looks: list[str] = []
        self._versions: Iterator[int] = iter(versions)
        self._last = versions[-1]

    def look(self) -> Any:
        return self._seen("mirror")

    def read(self) -> Any:
        return self._seen("Postgres")

    def _seen(self, where: str) -> Any:
        self.looks.append(where)
        version = next(self._versions)
        status = TaskStatus.COMPLETED if version == self._last else TaskStatus.RUNNING
        return SimpleNamespace(version=version, status=status)


def looks(task: Task, timeout: float | None = None, slowest: float = SLOWEST_POLL_SECONDS) -> _Looks:
    return _Looks(task, timeout, lambda: (min(1, slowest), slowest))  # type: ignore[arg-type]


def test_without_word_it_looks_at_postgres_ever_more_seldom_until_something_has_changed() -> None:
    task = Task(*[1] * 8, 2, 2, 3)
    following = looks(task)
    waits = []
    while (seconds := following.patience()) is not None:
        waits.append(seconds)
        following.look(False)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 1, 2]
    assert task.looks == ["mirror", *["Postgres"] * 10]


def test_at_word_it_looks_at_the_mirror() -> None:
    task = Task(1, 2, 3)
    following = looks(task)
    following.look(True)
    following.look(True)
    assert task.looks == ["mirror"] * 3
    assert following.patience() is None


def test_a_follower_may_look_more_often() -> None:
    following = looks(Task(1, 1, 1, 2), slowest=0.1)
    for _ in range(2):
        assert following.patience() == 0.1
        following.look(False)


def test_it_listens_for_no_longer_than_asked_and_then_says_so() -> None:
    assert looks(Task(1, 2), timeout=0.5).patience() == pytest.approx(0.5, abs=0.4)
    with pytest.raises(TimeoutError, match="task the task is still running after 0 s; it goes on"):
        looks(Task(1, 2), timeout=0).patience()


def test_a_task_that_has_ended_never_times_out() -> None:
    assert looks(Task(1), timeout=0).patience() is None
