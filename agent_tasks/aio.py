"""The client for async callers: the same operations, none of which blocks the caller's event loop.

`from agent_tasks import aio`, then `task = await aio.submit("writer", {...})`, `await task.result(timeout=30)`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import agent_tasks
from agent_tasks import mirror
from agent_tasks.client import AgentTasks
from agent_tasks.events import Event
from agent_tasks.handle import TaskHandle, result_of
from agent_tasks.snapshots import TaskSnapshot

_threads = ThreadPoolExecutor(16, thread_name_prefix="agent-tasks-aio")
"""For calls that take milliseconds; nothing waits for a task in here."""


async def _in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = await asyncio.get_running_loop().run_in_executor(_threads, lambda: function(*args, **kwargs))
    if isinstance(result, TaskHandle):
        return AsyncTaskHandle(result)
    if isinstance(result, list) and result and isinstance(result[0], TaskHandle):
        return [AsyncTaskHandle(handle) for handle in result]  # pyright: ignore[reportUnknownVariableType]
    return result  # pyright: ignore[reportUnknownVariableType]


class _Asynchronous:
    """Offers each method of the blocking object as a coroutine method of the same name and arguments."""

    def __init__(self, blocking: Any) -> None:
        self.blocking = blocking

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.blocking, name)
        if name.startswith("_") or not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            return _in_thread(attribute, *args, **kwargs)

        return call


class AsyncAgentTasks(_Asynchronous):
    """`AgentTasks` for async callers: `await tasks.submit(...)`, `await tasks.get(id)`, ..."""

    def __init__(self, client: AgentTasks | None = None) -> None:
        super().__init__(client or AgentTasks())


class AsyncTaskHandle(_Asynchronous):
    """`TaskHandle` for async callers: every method awaited, `events` with `async for`.

    Only what lasts is written anew: waiting holds no thread.
    """

    blocking: TaskHandle

    async def wait(self, timeout: float | None = None) -> TaskSnapshot:
        """As `TaskHandle.wait`."""
        handle = self.blocking
        polling = await _in_thread(lambda: iter(handle.polling(timeout)))
        with _Changes(handle) as changes:
            while (seconds := await _in_thread(next, polling)) is not None:
                await _in_thread(handle.look if await changes.within(seconds) else handle.read)
        return handle.ended()

    async def result(self, timeout: float | None = None) -> Any:
        """As `TaskHandle.result`."""
        return result_of(await self.wait(timeout))

    async def events(self, after: int = 0, follow: bool = False, timeout: float | None = None) -> AsyncIterator[Event]:
        """As `TaskHandle.events`."""
        handle = self.blocking
        polling = await _in_thread(lambda: iter(handle.polling(timeout)))
        with _Changes(handle) as changes:
            while True:
                seconds = await _in_thread(next, polling)
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


async def submit(agent: Any, input: Any = None, **options: Any) -> AsyncTaskHandle:
    """As `agent_tasks.submit`."""
    return await _in_thread(agent_tasks.submit, agent, input, **options)


async def submit_many(agent: Any, inputs: Any, **options: Any) -> list[AsyncTaskHandle]:
    """As `agent_tasks.submit_many`."""
    return await _in_thread(agent_tasks.submit_many, agent, inputs, **options)


async def get(task_id: UUID | str, **options: Any) -> AsyncTaskHandle:
    """As `agent_tasks.get`."""
    return await _in_thread(agent_tasks.get, task_id, **options)
