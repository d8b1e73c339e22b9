"""The client for async callers: the same operations, none of which blocks the caller's event loop.

`from agent_tasks import aio`, then `task = await aio.submit("writer", {...})`, `await task.result(timeout=30)`.
"""

import asyncio
import contextvars
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import agent_tasks
from agent_tasks.client.callers_connection import is_async, within
from agent_tasks.client.client import AgentTasks
from agent_tasks.client.following import follow_async
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.result import result_of
from agent_tasks.client.webhooks import Webhooks
from agent_tasks.task.arguments import check_flag, check_kind
from agent_tasks.task.event import Event
from agent_tasks.task.snapshot import TaskSnapshot

P = ParamSpec("P")
R = TypeVar("R")
_threads = ThreadPoolExecutor(16, thread_name_prefix="agent-tasks-aio")
"""Threads for calls that take milliseconds; none of them ever waits for a task."""


async def _in_thread(function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    """In the context of the caller: its span of OpenTelemetry, and the door it came through."""
    call = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


async def _submitted(tasks: AgentTasks, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Submit in the transaction of an async connection: what is written goes through it, on the caller's own loop."""
    connection = kwargs.pop("connection")
    prepare = {"submit": tasks.prepared, "submit_many": tasks.prepared_many}[method]
    return await within(connection, await _in_thread(prepare, *args, **kwargs))


def _awaited(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """Return the coroutine method that does what `method` of the blocking object does."""

    @functools.wraps(method)
    async def call(self: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        if is_async(kwargs.get("connection")):
            return await _submitted(self.blocking, method.__name__, args, {**kwargs})
        return await _in_thread(getattr(self.blocking, method.__name__), *args, **kwargs)

    return call


def _handle(
    method: Callable[Concatenate[Any, P], TaskHandle],
) -> "Callable[Concatenate[Any, P], Coroutine[Any, Any, AsyncTaskHandle]]":
    """Wrap, as `_awaited` does, a method that returns a handle."""
    awaited = _awaited(method)

    @functools.wraps(method)
    async def call(self: Any, *args: P.args, **kwargs: P.kwargs) -> "AsyncTaskHandle":
        return AsyncTaskHandle(await awaited(self, *args, **kwargs))

    return call


def _handles(
    method: Callable[Concatenate[Any, P], list[TaskHandle]],
) -> "Callable[Concatenate[Any, P], Coroutine[Any, Any, list[AsyncTaskHandle]]]":
    """Wrap, as `_awaited` does, a method that returns handles."""
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
    search = _awaited(AgentTasks.search)
    bulk = _awaited(AgentTasks.bulk)
    get_bulk = _awaited(AgentTasks.get_bulk)
    bulks = _awaited(AgentTasks.bulks)
    stop_bulk = _awaited(AgentTasks.stop_bulk)
    purge = _awaited(AgentTasks.purge)
    spend = _awaited(AgentTasks.spend)
    pause = _awaited(AgentTasks.pause)
    resume_paused = _awaited(AgentTasks.resume_paused)
    pauses = _awaited(AgentTasks.pauses)
    agents = _awaited(AgentTasks.agents)
    audit = _awaited(AgentTasks.audit)
    hook = _awaited(AgentTasks.hook)
    answer_hook = _awaited(AgentTasks.answer_hook)
    schedule = _awaited(AgentTasks.schedule)
    schedules = _awaited(AgentTasks.schedules)
    unschedule = _awaited(AgentTasks.unschedule)
    pause_schedule = _awaited(AgentTasks.pause_schedule)
    unpause_schedule = _awaited(AgentTasks.unpause_schedule)
    trigger_schedule = _handle(AgentTasks.trigger_schedule)
    put_alert = _awaited(AgentTasks.put_alert)
    alert = _awaited(AgentTasks.alert)
    alerts = _awaited(AgentTasks.alerts)
    remove_alert = _awaited(AgentTasks.remove_alert)
    create_key = _awaited(AgentTasks.create_key)
    keys = _awaited(AgentTasks.keys)
    revoke_key = _awaited(AgentTasks.revoke_key)
    close = _awaited(AgentTasks.close)

    @property
    def webhooks(self) -> "AsyncWebhooks":
        """Webhooks: endpoints, what was delivered, replays, and the feed of what happened."""
        return AsyncWebhooks(self.blocking.webhooks)


class AsyncWebhooks:
    """`AgentTasks.webhooks` for async callers: every method is awaited."""

    def __init__(self, blocking: Webhooks) -> None:
        self.blocking = blocking

    put = _awaited(Webhooks.put)
    get = _awaited(Webhooks.get)
    list = _awaited(Webhooks.list)
    rotate = _awaited(Webhooks.rotate)
    enable = _awaited(Webhooks.enable)
    disable = _awaited(Webhooks.disable)
    remove = _awaited(Webhooks.remove)
    ping = _awaited(Webhooks.ping)
    callback_secret = _awaited(Webhooks.callback_secret)
    deliveries = _awaited(Webhooks.deliveries)
    delivery = _awaited(Webhooks.delivery)
    replay = _awaited(Webhooks.replay)
    replay_range = _awaited(Webhooks.replay_range)
    feed = _awaited(Webhooks.feed)


class AsyncTaskHandle:
    """`TaskHandle` for async callers: every method is awaited, `events` is used with `async for`.

    Only the methods that wait are written anew, so that waiting holds no thread.
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
    calls = _awaited(TaskHandle.calls)
    logs = _awaited(TaskHandle.logs)
    page_of_children = _awaited(TaskHandle.page_of_children)
    page_of_events = _awaited(TaskHandle.page_of_events)
    tree = _awaited(TaskHandle.tree)
    resume = _handle(TaskHandle.resume)
    acknowledge = _awaited(TaskHandle.acknowledge)
    traceback = _awaited(TaskHandle.traceback)

    async def wait(self, timeout: float | None = None) -> TaskSnapshot:
        """Wait for the task to end, as `TaskHandle.wait` does."""
        async for _ in follow_async(self.blocking, timeout, _threads):
            pass
        return self.blocking.ended()

    async def result(self, timeout: float | None = None) -> Any:
        """Return the result once the task has ended, as `TaskHandle.result` does."""
        return result_of(await self.wait(timeout))

    async def events(self, after: int = 0, follow: bool = False, timeout: float | None = None) -> AsyncIterator[Event]:
        """Yield the task's history, as `TaskHandle.events` does."""
        check_flag(follow, "follow")
        handle = self.blocking
        if not follow:
            for event in await _in_thread(lambda: list(handle.events(after, timeout=timeout))):
                yield event
            return
        latest = None
        async with aclosing(follow_async(handle, timeout, _threads)) as looks:
            async for _ in looks:
                for event in await _in_thread(lambda after=after: list(handle.more_events(after))):
                    yield event
                    after, latest = event.seq, event.type
                if latest == "finished":
                    return


def _on_default(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Return the module-level function that does the same on the default deployment."""

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await getattr(AsyncAgentTasks(agent_tasks.default()), method.__name__)(*args, **kwargs)

    return call


submit = _on_default(AsyncAgentTasks.submit)
submit_many = _on_default(AsyncAgentTasks.submit_many)
get = _on_default(AsyncAgentTasks.get)

__all__ = ["AsyncAgentTasks", "AsyncTaskHandle", "AsyncWebhooks", "get", "submit", "submit_many"]
