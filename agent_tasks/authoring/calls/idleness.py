"""Idleness: whether all that a step's tasks still do is to wait for what outlasts the worker."""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

Futures = Collection["asyncio.Future[Any]"]
Task = asyncio.Task[Any]
_NOT_THEIRS = (str(Path(__file__).parents[2]), str(Path(asyncio.__file__).parent))


class Idleness:
    """The tasks of a step that live at this moment, and for what each of them waits.

    A task is idle if it is in one of the `waits`, or awaits only tasks that are: one directly, or several by gather,
    asyncio.wait or a TaskGroup. All else counts as busy, so that nothing that may go on is ever ended.
    """

    def __init__(self, tasks: Iterable[Task], waits: Futures) -> None:
        self._tasks = {task for task in tasks if not task.done()}
        self._waits = set(waits)
        self._groups: dict[asyncio.Future[Any], asyncio.TaskGroup] = {}
        self._waiters: dict[asyncio.Future[Any], list[dict[str, Any]]] = {}
        for task in self._tasks:
            for callback in _callbacks_of(task):
                self._note(callback)

    def is_complete(self) -> bool:
        """Whether all of the tasks are idle, and no time-out is set for any of them."""
        return all(self._is_idle(_waiter_of(task)) for task in self._tasks) and not any(
            owner in self._tasks for owner in _owners_of_timers(asyncio.get_running_loop())
        )

    def places(self) -> list[str]:
        """Return the lines of code at which those tasks are that are not idle."""
        busy = [task for task in self._tasks if not self._is_idle(_waiter_of(task))]
        return sorted(place for task in busy if (place := _place_of(task)) is not None)

    def throw(self, error: type[BaseException], *args: Any) -> None:
        """Raise `error` in each of the tasks, at the place at which it waits for several others.

        Tasks in `waits` are left to the caller, and those that await a single task get what that raises.
        """
        for task in self._tasks:
            waiter = _waiter_of(task)
            task.add_done_callback(_heed)
            if waiter is None or waiter in self._waits or isinstance(waiter, asyncio.Task):
                continue
            if (group := self._groups.get(waiter)) is not None:  # it ends now: what its tasks raise concerns it no more
                for member in _members_of(group):
                    member.remove_done_callback(cast(Any, group)._on_task_done)
            fail(waiter, error(*args))

    def _note(self, callback: Any) -> None:
        """Note which future a task's end is told to."""
        group = getattr(callback, "__self__", None)
        if isinstance(group, asyncio.TaskGroup):
            completed = cast(Any, group)._on_completed_fut
            if completed is not None:
                self._groups[completed] = group
        elif getattr(callback, "__qualname__", "") == "_wait.<locals>._on_completion":
            cells = dict(zip(callback.__code__.co_freevars, callback.__closure__, strict=True))
            found = {name: cell.cell_contents for name, cell in cells.items()}
            self._waiters.setdefault(found["waiter"], []).append(found)

    def _is_idle(self, waiter: "asyncio.Future[Any] | None") -> bool:
        if waiter is None or waiter.done():
            return False
        if waiter in self._waits or waiter in self._tasks:
            return True
        if isinstance(waiter, asyncio.tasks._GatheringFuture):  # type: ignore[attr-defined] # pyright: ignore
            children: list[asyncio.Future[Any]] = cast(Any, waiter)._children
            return all(child.done() or self._is_idle(child) for child in children)
        if (group := self._groups.get(waiter)) is not None:
            return all(member.done() or member in self._tasks for member in _members_of(group))
        if found := self._waiters.get(waiter):
            return found[0]["timeout_handle"] is None and found[0]["counter"] == len(found)
        return False


def fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    """Have a future raise in whoever awaits it; where nobody does any more, that is no news."""
    if not future.done():
        future.set_exception(error)
        future.exception()


def _heed(task: Task) -> None:
    """See what a task raised, so that asyncio does not report it as unseen."""
    if not task.cancelled():
        task.exception()


def _waiter_of(task: Task) -> "asyncio.Future[Any] | None":
    return getattr(task, "_fut_waiter", None)


def _place_of(task: Task) -> str | None:
    """The innermost line of a task that is neither ours nor asyncio's."""
    place, awaited = None, cast(Any, task.get_coro())
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        if not frame.f_code.co_filename.startswith(_NOT_THEIRS):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        awaited = awaited.cr_await
    return place


def _callbacks_of(task: Task) -> Iterator[Any]:
    for callback, _ in getattr(task, "_callbacks", None) or ():
        yield callback


def _members_of(group: asyncio.TaskGroup) -> list[Task]:
    return list(cast(Any, group)._tasks)


def _owners_of_timers(loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    """Yield whose tasks a timer of the loop may cancel: those of asyncio.timeout, and of libraries that do the same."""
    for handle in cast(Any, loop)._scheduled:
        owner = None if handle.cancelled() else getattr(handle._callback, "__self__", None)
        if owner is not None and not isinstance(owner, asyncio.AbstractEventLoop):
            yield from (owner, getattr(owner, "_task", None), getattr(owner, "_host_task", None))
