"""The client for async callers: the same operations, none of which blocks the caller's event loop.

`from agent_tasks import aio`, then `task = await aio.submit("writer", {...})`, `await task.result(timeout=30)`.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import agent_tasks
from agent_tasks.client.client import AgentTasks
from agent_tasks.client.handle import TaskHandle, result_of
from agent_tasks.doorbell import mirror
from agent_tasks.task.arguments import check_flag, check_kind
from agent_tasks.task.event import Event
from agent_tasks.task.snapshot import TaskSnapshot

P = ParamSpec("P")
R = TypeVar("R")
_threads = ThreadPoolExecutor(16, thread_name_prefix="agent-tasks-aio")
"""For calls that take milliseconds; nothing waits for a task in here."""


async def _in_thread(function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    return await asyncio.get_running_loop().run_in_executor(_threads, lambda: function(*args, **kwargs))


def _awaited(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The coroutine method that does what `method` does of the blocking object."""

    @functools.wraps(method)
    async def call(self: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        return await _in_thread(getattr(self.blocking, method.__name__), *args, **kwargs)

    return call


def _handle(
    method: Callable[Concatenate[Any, P], TaskHandle],
) -> "Callable[Concatenate[Any, P], Coroutine[Any, Any, AsyncTaskHandle]]":
    """`_awaited`, of a method that returns a handle."""
    awaited = _awaited(method)

    @functools.wraps(method)
    async def call(self: Any, *args: P.args, **kwargs: P.kwargs) -> "AsyncTaskHandle":
        return AsyncTaskHandle(await awaited(self, *args, **kwargs))

    return call


def _handles(
    method: Callable[Concatenate[Any, P], list[TaskHandle]],
) -> "Callable[Concatenate[Any, P], Coroutine[Any, Any, list[AsyncTaskHandle]]]":
    """`_awaited`, of a method that returns handles."""
    awaited = _awaited(method)

    @functools.wraps(method)
    async def call(self: Any, *args: P.args, **kwargs: P.kwargs) -> "list[AsyncTaskHandle]":
        return [AsyncTaskHandle(handle) for handle in await awaited(self, *args, **kwargs)]

    return call


class AsyncAgentTasks:
    """`AgentTasks` for async callers: `await tasks.submit(...)`, `await tasks.get(id)`, ..."""

    def __init__(self, client: AgentTasks | None = None) -> None:
        check_kind(client, "client", AgentTasks, "an AgentTasks")
        self.blocking = client or AgentTasks()

    submit = _handle(AgentTasks.submit)
    submit_many = _handles(AgentTasks.submit_many)
    get = _handle(AgentTasks.get)
    living = _awaited(AgentTasks.living)
    schedule = _awaited(AgentTasks.schedule)
    schedules = _awaited(AgentTasks.schedules)
    unschedule = _awaited(AgentTasks.unschedule)
    close = _awaited(AgentTasks.close)


class AsyncTaskHandle:
    """`TaskHandle` for async callers: every method awaited, `events` with `async for`.

    Only what lasts is written anew: waiting holds no thread.
    """

    def __init__(self, blocking: TaskHandle) -> None:
        self.blocking = blocking

    @property
    def id(self) -> UUID:
        """The task's id, a UUIDv7."""
        return self.blocking.id

    def __repr__(self) -> str:
        return f"AsyncTaskHandle({str(self.id)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncTaskHandle) and other.blocking == self.blocking

    def __hash__(self) -> int:
        return hash(self.blocking)

    snapshot = _awaited(TaskHandle.snapshot)
    stored = _awaited(TaskHandle.stored)
    signal = _awaited(TaskHandle.signal)
    cancel = _awaited(TaskHandle.cancel)
    children = _handles(TaskHandle.children)
    tree = _awaited(TaskHandle.tree)
    resume = _handle(TaskHandle.resume)
    acknowledge = _awaited(TaskHandle.acknowledge)
    traceback = _awaited(TaskHandle.traceback)

    async def wait(self, timeout: float | None = None) -> TaskSnapshot:
        """As `TaskHandle.wait`."""
        handle = self.blocking
        polling = await _in_thread(lambda: iter(handle.polling(timeout)))
        with _Changes(handle) as changes:
            while (seconds := await _in_thread(lambda: next(polling))) is not None:
                await _in_thread(handle.look if await changes.within(seconds) else handle.read)
        return handle.ended()

    async def result(self, timeout: float | None = None) -> Any:
        """As `TaskHandle.result`."""
        return result_of(await self.wait(timeout))

    async def events(self, after: int = 0, follow: bool = False, timeout: float | None = None) -> AsyncIterator[Event]:
        """As `TaskHandle.events`."""
        check_flag(follow, "follow")
        handle = self.blocking
        polling = await _in_thread(lambda: iter(handle.polling(timeout)))
        with _Changes(handle) as changes:
            while True:
                seconds = await _in_thread(lambda: next(polling))
                for event in await _in_thread(lambda after=after: list(handle.more_events(after))):
                    yield event
                    after = event.seq
                if seconds is None or not follow:
                    return
                await _in_thread(handle.look if await changes.within(seconds) else handle.read)


class _Changes:
    """Word of a task's changes, on the caller's loop."""

    def __init__(self, handle: TaskHandle) -> None:
        self._event = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._listening = handle.client.notices.listening(
            mirror.key(handle.id), lambda _: loop.call_soon_threadsafe(self._event.set) and None
        )

    def __enter__(self) -> "_Changes":
        self._listening.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._listening.__exit__(*error)

    async def within(self, seconds: float) -> bool:
        """Whether word came; forgets it."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        self._event.clear()
        return True


def _on_default(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """A function of the module that does the same on the default deployment."""

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await getattr(AsyncAgentTasks(agent_tasks.default()), method.__name__)(*args, **kwargs)

    return call


submit = _on_default(AsyncAgentTasks.submit)
submit_many = _on_default(AsyncAgentTasks.submit_many)
get = _on_default(AsyncAgentTasks.get)
