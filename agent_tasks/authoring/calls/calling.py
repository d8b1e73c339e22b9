"""Making a call: either its record is returned, or the function runs between its intent and its outcome."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from time import monotonic, sleep
from typing import Any, ParamSpec, TypeVar, cast, overload

from agent_tasks.authoring.calls.branches import Branch, Making, await_owned, inside, run_owned
from agent_tasks.authoring.calls.call_identity import digest_of, name_of
from agent_tasks.authoring.calls.doing import AsyncDoing, PlainDoing, plainly
from agent_tasks.authoring.calls.operations import (
    Answer,
    Call,
    CallOptions,
    Cancellable,
    Intent,
    Operations,
)
from agent_tasks.authoring.calls.tasks import run_task
from agent_tasks.authoring.calls.writes import settled
from agent_tasks.authoring.celery_task import CeleryTask
from agent_tasks.authoring.functions import is_async
from agent_tasks.authoring.peers.carried import Caller
from agent_tasks.authoring.peers.mcp_server import McpServer
from agent_tasks.authoring.peers.mcp_tools import McpTools, SyncMcpTools
from agent_tasks.authoring.surroundings import async_surroundings, plain_surroundings
from agent_tasks.errors import InvalidInput, LeaseLost, UpstreamUnavailable
from agent_tasks.task.arguments import refused

P = ParamSpec("P")
T = TypeVar("T")
PLAIN, ONCE = CallOptions(), CallOptions(at_most_once=True)
_GLANCE_SECONDS = 0.05
_LOOK_SECONDS = 1.0
"""How often a plain step that waits for its async call checks that the loop is still there."""


class _Calls:
    """Makes calls with the same options."""

    def __init__(
        self,
        context: Cancellable,
        operations: Operations,
        options: CallOptions,
        loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._context = context
        self._operations = operations
        self._options = options
        self._loop = loop

    def _begin(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Call:
        """Return the call with its place among the others, taken now so that gathered calls keep theirs."""
        if not callable(function):
            raise refused("ctx.call takes a function, followed by its arguments", function, "function")
        if self._options.timeout is not None:
            raise InvalidInput("using(timeout=) is for ctx.using(…).task(…): a call ends by itself", field="timeout")
        name = self._options.name or name_of(function)
        branch, identity = self._operations.branches.identify(name, digest_of(args, kwargs), self._options.key)
        return Call(function, identity, branch, self._options)

    def _next_try(self, call: Call, error: BaseException) -> float | None:
        """Return the seconds until the call is tried again; None if its failure is the step's."""
        retry = self._options.retry
        if retry is None or self._operations.branches.is_closed or self._context.cancelled:
            return None
        return retry.delay(error, call.tries)

    def _making(self, call: Call) -> AbstractContextManager[Making]:
        return self._operations.branches.making(call.branch, is_tried=self._options.retry is not None)

    def _order(self) -> int:
        """Return the time, by the step's clock, at which the step is given an outcome."""
        return next(self._operations.branches.clock)

    def _inner(self, call: Call, making: Making, intent: Intent) -> Branch:
        making.key, making.ordinal = intent.key, intent.ordinal
        return call.branch.of_call(call.identity, making, resumes=call.options.resumes)

    def _checked(self, answer: Answer) -> Answer:
        check = self._options.check
        if check is not None and check(answer.value) is False:
            raise UpstreamUnavailable(f"The answer was refused by {name_of(check)}")
        return answer


class Calls(_Calls):
    """The object that `ctx.using(…)` returns in an async step."""

    @overload
    async def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    async def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call as `Context.call` does, with these options; all keywords are the function's own."""
        return await self.make(function, args, kwargs)

    @overload
    async def task(self, celery_task: CeleryTask[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    async def task(self, celery_task: Any, /, *args: Any, **kwargs: Any) -> Any: ...

    async def task(self, celery_task: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Send a task of your Celery app and return its result, as `Context.task` does, with these options."""
        doing = AsyncDoing(self._context, self._operations, self.do)
        return await run_task(doing, self._options, celery_task, args, kwargs)

    def mcp(self, server: str | McpServer, /) -> McpTools:
        """Return the tools of an MCP server, as `Context.mcp` does, to be called with these options."""
        doing = AsyncDoing(self._context, self._operations, self.do)
        return McpTools(doing, cast(Caller, self._context), self._options, server)

    async def make(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        call = self._begin(function, args, kwargs)
        if (given := self._operations.find(call)) is not None:
            await given.turn()
            return given.outcome()
        return await self.do(call, function, args, kwargs)

    async def do(self, call: Call, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Make a call that is not given back, by this function."""
        try:
            return await self._make(call, function, args, kwargs)
        finally:
            self._operations.waits.nudge()

    async def _make(self, call: Call, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        with self._making(call) as making:
            while True:
                intent = await self._begun(call)
                inner = self._inner(call, making, intent)
                try:
                    doing = self._operations.doing(call, function, args, kwargs)
                    answer = self._checked(self._operations.answer(call, await _run(inner, doing, args, kwargs)))
                except asyncio.CancelledError as error:
                    if _is_cancelled():
                        await self._cancel(intent)
                        raise
                    await self._end(intent, self._operations.fail_call, error, tried=False)  # its own, not the step's
                    raise
                except Exception as error:
                    delay = self._next_try(call, error)
                    await self._end(intent, self._operations.fail_call, error, tried=delay is not None)
                    if delay is None:
                        raise
                    await self._wait(intent, inner, making, delay)
                else:
                    return await self._end(intent, self._operations.end_call, answer)

    async def _begun(self, call: Call) -> Intent:
        """Return the written intent. A call cancelled while it is written is cancelled once that is known."""
        intent, cancelled = await settled(self._operations.begin_call, call)
        if cancelled is not None:
            await self._cancel(intent)
            raise cancelled
        return intent

    async def _end(self, intent: Intent, write: Callable[..., T], *what: Any, **how: Any) -> T:
        """Record how the call ended; return when it is the step's turn to see that."""
        turns, order = self._operations.turns, self._order()
        with turns.writing(order):
            try:
                written, cancelled = await settled(write, intent, *what, order, **how)
                if cancelled is not None:
                    raise cancelled
                await turns.first(order)
            except asyncio.CancelledError:
                await self._cancel(intent)
                raise
        return written

    async def _cancel(self, intent: Intent) -> None:
        """Record that the step's own code cancelled the call and went on; do not where the worker stops the step."""
        if not self._context.cancelled:
            await settled(self._operations.cancel_call, intent)

    async def _wait(self, intent: Intent, inner: Branch, making: Making, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
            while self._operations.branches.is_busy(making):
                await asyncio.sleep(_GLANCE_SECONDS)
        except asyncio.CancelledError:
            await self._cancel(intent)
            raise
        self._operations.branches.forget_keys(inner)


class SyncCalls(_Calls):
    """The object that `ctx.using(…)` returns in a plain step."""

    @overload
    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call as `SyncContext.call` does, with these options; all keywords are the function's own."""
        return self.make(function, args, kwargs)

    @overload
    def task(self, celery_task: CeleryTask[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def task(self, celery_task: Any, /, *args: Any, **kwargs: Any) -> Any: ...

    def task(self, celery_task: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Send a task of your Celery app and return its result, as `SyncContext.task` does, with these options."""
        doing = PlainDoing(self._context, self._operations, self.do)
        return plainly(run_task(doing, self._options, celery_task, args, kwargs))

    def mcp(self, server: str | McpServer, /) -> SyncMcpTools:
        """Return the tools of an MCP server, as `SyncContext.mcp` does, to be called with these options."""
        doing = PlainDoing(self._context, self._operations, self.do)
        return SyncMcpTools(doing, cast(Caller, self._context), self._options, server)

    def make(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        call = self._begin(function, args, kwargs)
        if (given := self._operations.find(call)) is not None:
            return given.outcome()
        return self.do(call, function, args, kwargs)

    def do(self, call: Call, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Make a call that is not given back, by this function."""
        with self._making(call) as making:
            while True:
                intent = self._operations.begin_call(call)
                inner = self._inner(call, making, intent)
                try:
                    value = self._run(inner, self._operations.doing(call, function, args, kwargs), args, kwargs)
                    answer = self._checked(self._operations.answer(call, value))
                except LeaseLost:
                    raise
                except Exception as error:
                    delay = self._next_try(call, error)
                    self._operations.fail_call(intent, error, self._order(), tried=delay is not None)
                    if delay is None:
                        raise
                    self._wait(making, delay)
                    self._operations.branches.forget_keys(inner)
                else:
                    return self._operations.end_call(intent, answer, self._order())

    def _run(self, inner: Branch, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if not is_async(function):
            with plain_surroundings():
                return run_owned(inner, function, *args, **kwargs)
        with inside(inner):  # the coroutine takes it along to the loop
            running = _run(inner, function, args, kwargs)
            return asyncio.run(running) if self._loop is None else _result_of(running, self._loop())

    def _wait(self, making: Making, seconds: float) -> None:
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0 or self._operations.branches.is_busy(making):
            self._context.check_cancelled()
            sleep(min(left, _GLANCE_SECONDS) if left > 0 else _GLANCE_SECONDS)


def _result_of(running: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> Any:
    """Return what a coroutine on the worker's loop returns. Raises LeaseLost if the loop is given up meanwhile."""
    future = asyncio.run_coroutine_threadsafe(running, loop)
    while True:
        try:
            return future.result(timeout=_LOOK_SECONDS)
        except TimeoutError:  # the function's own, or nothing has come yet
            if future.done():
                return future.result()
            if hasattr(loop, "agent_tasks_abandoned"):
                raise LeaseLost("a step blocked the event loop, which was replaced") from None


async def _run(inner: Branch, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    if is_async(function):
        async with async_surroundings():
            return await await_owned(inner, function, *args, **kwargs)
    with inside(inner):
        value = await asyncio.to_thread(run_owned, inner, function, *args, **kwargs)
    return await await_owned(inner, lambda: value) if inspect.isawaitable(value) else value


def _is_cancelled() -> bool:
    """Whether somebody is cancelling this task; if not, the function itself raised CancelledError."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
