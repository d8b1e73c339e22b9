"""Context managers around users' code, for what is bound to a thread or a task, such as an ORM's connections."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from typing import Any, TypeVar

from agent_tasks.task.arguments import refused

Plain = TypeVar("Plain", bound=Callable[[], AbstractContextManager[Any]])
Async = TypeVar("Async", bound=Callable[[], AbstractAsyncContextManager[Any]])
_NOTHING = nullcontext()
_plain: list[Callable[[], AbstractContextManager[Any]]] = []
_async: list[Callable[[], AbstractAsyncContextManager[Any]]] = []


def surround(manager: Plain) -> Plain:
    """Enter the context manager that `manager()` makes around all plain code of this process, in its thread.

    That is each plain step, undo function and call, and whatever an async step hands to `asyncio.to_thread`. What it
    raises is raised into the step. Once for each manager, however often it is given. Returns `manager`, so that it can
    be a decorator.
    """
    _check(manager)
    if manager not in _plain:
        _plain.append(manager)
    return manager


def surround_async(manager: Async) -> Async:
    """Enter the async context manager that `manager()` makes around each async step, undo function and call.

    It runs on the worker's event loop, in the task of the step or the call. What it raises is raised into the step. It
    is once for each manager, as in `surround`.
    """
    _check(manager)
    if manager not in _async:
        _async.append(manager)
    return manager


def _check(manager: Any) -> None:
    if not callable(manager):
        raise refused("manager must be a function that makes a context manager", manager, "manager")


def plain_surroundings() -> AbstractContextManager[Any]:
    """Return a manager that enters all that `surround` was given, in that order."""
    return _all_plain() if _plain else _NOTHING


def async_surroundings() -> AbstractAsyncContextManager[Any]:
    """Return a manager that enters all that `surround_async` was given, in that order."""
    return _all_async() if _async else _NOTHING


@contextmanager
def _all_plain() -> Generator[None]:
    with ExitStack() as stack:
        for manager in _plain:
            stack.enter_context(manager())
        yield


@asynccontextmanager
async def _all_async() -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        for manager in _async:
            await stack.enter_async_context(manager())
        yield
