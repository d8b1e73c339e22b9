"""The context of a step: who asks, what is left, and the durable operations."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Literal, ParamSpec, TypeVar, overload
from uuid import UUID

from agent_tasks.authoring.calls import notes
from agent_tasks.authoring.calls.blocking import refuse_to_block
from agent_tasks.authoring.calls.branches import call_around
from agent_tasks.authoring.calls.calling import ONCE, PLAIN, Calls, SyncCalls
from agent_tasks.authoring.calls.charging import charge, charge_plainly
from agent_tasks.authoring.calls.notes import note, note_plainly
from agent_tasks.authoring.calls.operations import HERE, CallOptions, Operations
from agent_tasks.authoring.calls.spent import Spent
from agent_tasks.authoring.calls.writes import durably
from agent_tasks.authoring.celery_task import CeleryTask
from agent_tasks.authoring.directives import Child, FanOut, Sleep, Wait
from agent_tasks.authoring.handed import ChildOutcome, Signal
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.authoring.kept import Kept
from agent_tasks.authoring.peers.mcp_server import McpServer
from agent_tasks.authoring.peers.mcp_tools import McpTools, SyncMcpTools
from agent_tasks.authoring.retry import Retry
from agent_tasks.errors import TaskCancelled
from agent_tasks.task.budget import Budget, Remaining, Spend, remaining
from agent_tasks.task.identity import Identity

P = ParamSpec("P")
T = TypeVar("T")
NOTHING = Spend()


class StepContext:
    """The attributes of the running step that both contexts share."""

    task_id: UUID
    """The task's id, a UUIDv7."""
    agent: str
    """The name of the task's agent."""
    step: str
    """The name of this step."""
    step_number: int
    """The number of steps committed before this one, from 0."""
    attempt: int
    """How often this step was begun, from 1."""
    identity: Identity | None
    """The person or service for whom the task runs; None where the submit named none."""
    session_id: str | None
    """The session that the submit named."""
    traceparent: str | None
    """The task's place in its trace, as W3C Trace Context writes it."""

    def __init__(
        self,
        *,
        task_id: UUID,
        agent: str,
        step: str,
        step_number: int,
        attempt: int,
        identity: Identity | None,
        session_id: str | None,
        limit: Budget,
        spent: Spend,
        operations: Operations,
        reserved: Spend = NOTHING,
        held: Spend = NOTHING,
        traceparent: str | None = None,
        loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self.task_id = task_id
        self.agent = agent
        self.step = step
        self.step_number = step_number
        self.attempt = attempt
        self.identity = identity
        self.session_id = session_id
        self.traceparent = traceparent
        self._limit = limit
        self._spent = spent
        self._reserved = reserved
        self._held = held
        self._started = monotonic()
        self._operations = operations
        self._loop = loop
        self._cancelled = False

    @property
    def budget(self) -> Remaining:
        """What is left of each resource now, less what living children and calls under way hold; None is no limit."""
        return remaining(self._limit, self.spent + self._reserved + self._held)

    @property
    def spent(self) -> Spend:
        """What the task has spent so far."""
        return self._spent + Spend(seconds=monotonic() - self._started)

    @property
    def deadline(self) -> datetime | None:
        """When the budget of seconds runs out, for display; the step is stopped by a monotonic clock."""
        seconds = self.budget.seconds
        try:
            return None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)

    @property
    def cancelled(self) -> bool:
        """Whether to stop: the task was cancelled, lost its lease, or is out of time, and can no longer commit."""
        return self._cancelled or self._is_out_of_time

    @property
    def _is_out_of_time(self) -> bool:
        limit = self._limit.seconds
        if limit is None:
            return False
        return (
            self._spent.seconds + (monotonic() - self._started) + self._reserved.seconds + self._held.seconds >= limit
        )

    def check_cancelled(self) -> None:
        """Raise TaskCancelled if the step should stop: for loops in plain steps."""
        if self.cancelled:
            raise TaskCancelled(f"Step {self.step} was told to stop")

    @property
    def idempotency_key(self) -> str:
        """The key of the current call for the outside world, stable across retries and resumes.

        Raises RuntimeError outside of `ctx.call`.
        """
        making = call_around()
        if making is None:
            raise RuntimeError("ctx.idempotency_key exists only inside a function that ctx.call runs")
        return making.key

    def stop(self) -> None:
        """Tell the step that it should end; called by the worker."""
        self._cancelled = True

    def note_held(self, held: Spend) -> None:
        """Take over what calls under way have reserved."""
        self._held = held

    def note_spent(self, spent: Spend, reserved: Spend | None = None) -> None:
        """Take over the spent and held amounts from Postgres, except for seconds, whose clock runs here."""
        self._reserved = self._reserved if reserved is None else reserved
        mine = self._spent  # answers of gathered charges may come in any order: what is spent only grows
        self._spent = Spend(
            mine.seconds,
            max(mine.tokens, spent.tokens),
            max(mine.usd, spent.usd),
            max(mine.steps, spent.steps),
            max(mine.calls, spent.calls),
        )


class Context(StepContext):
    """The context of an `async def` step."""

    @overload
    async def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    async def call(
        self, function: Callable[..., Awaitable[T]], /, *args: Any, at_most_once: bool, **kwargs: Any
    ) -> T: ...

    @overload
    async def call(self, function: Callable[..., T], /, *args: Any, at_most_once: bool, **kwargs: Any) -> T: ...

    async def call(self, function: Callable[..., Any], /, *args: Any, at_most_once: bool = False, **kwargs: Any) -> Any:
        """Run `function` once: its outcome is recorded, and a repeated step gets the record back.

        Returns what the outcome's JSON form validates to by the function's return annotation. A failure after which the
        step went on is part of the record; a call whose failure ended the attempt is made again with the step. So is
        a call whose worker died before the outcome was written, unless `at_most_once`. Raises what the function
        raises; AmbiguousCall if a repeat could not tell the call from another one; ContextLost for an at-most-once
        call of unknown outcome, or if the step takes another path than before; BudgetExhausted when no calls are
        left; PermissionDenied for a function that is not one of the agent's tools; PayloadTooLarge.
        """
        return await Calls(self, self._operations, _once(at_most_once)).make(function, args, kwargs)

    def using(
        self,
        *,
        key: str | None = None,
        name: str | None = None,
        retry: Retry | None = None,
        check: Callable[[Any], object] | None = None,
        at_most_once: bool = False,
        timeout: float | timedelta | None = None,
        reserve: Budget | None = None,
    ) -> Calls:
        """Return the options for a call, which are not the function's own: `ctx.using(…).call(fn, …)`.

        `key`: identifies the call wherever it is made; use each key once a step. `name`: recorded instead of the
        function's. `retry`: a failed call is tried again within the step. `check`: is given the outcome, and makes
        it a failure by raising, or by returning False (UpstreamUnavailable). `at_most_once`: as for `call`. `timeout`
        (seconds or a timedelta): how long `task` waits. `reserve`: the tokens and usd that the call may cost, which are
        set aside of the task's budget until it ends; the call is refused where less is left (BudgetExhausted).
        """
        return Calls(self, self._operations, CallOptions(key, name, retry, check, at_most_once, timeout, reserve))

    @overload
    async def task(self, celery_task: CeleryTask[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    async def task(self, celery_task: Any, /, *args: Any, **kwargs: Any) -> Any: ...

    async def task(self, celery_task: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Send a task of your Celery app to its own queue, and return what it returns, or raise what it raises.

        The step is parked meanwhile, as by `wait`. `celery_task` is a task of the app on which `install` was called, or
        a signature of one, which may carry options: `invoice.s().set(queue="slow")`. That it was sent, and how it
        ended, is recorded: a step that runs again sends it no second time, but where its worker was lost in the
        middle of sending, and where its failure ended a try of the step. Of a task that is revoked, expires or is
        lost with its worker nothing is heard: `ctx.using(timeout=…).task(…)` waits no longer than that. Raises
        UpstreamUnavailable after this time-out, when the outcome is unknown; what the task raised; PayloadTooLarge
        for a result over the limit; InvalidInput for anything but such a task, where no app is installed, and where
        nothing can be parked.
        """
        return await Calls(self, self._operations, PLAIN).task(celery_task, *args, **kwargs)

    def mcp(self, server: str | McpServer, /) -> McpTools:
        """Return the tools of an MCP server: `await ctx.mcp("https://…").call("search", {"q": …})`.

        `server` is its URL, or an McpServer, which has headers. Raises InvalidInput for anything else.
        """
        return Calls(self, self._operations, PLAIN).mcp(server)

    async def charge(self, *, tokens: int = 0, usd: float = 0.0) -> None:
        """Count what was spent, once however often the step is repeated.

        Raises BudgetExhausted if that passes the task's limit, InvalidInput for negative or non-finite amounts.
        """
        await charge(self, self._operations, Spent.amounts(tokens, usd))

    async def charge_usage(self, usage: Any, *, model: str, usd: float | None = None) -> None:
        """Count what a model's answer used and what that costs, once however often the step is repeated.

        `usage`: the usage object of the OpenAI, Anthropic or Pydantic AI SDK, or a `Usage`. `model`: its name, as
        'gpt-5' or 'openai:gpt-5', whose price is looked up in genai-prices (the extra `prices`), unless `usd` says
        what it cost. Raises BudgetExhausted if that passes the task's limit, InvalidInput for a model without a known
        price.
        """
        await charge(self, self._operations, Spent.usage(usage, model, usd))

    @overload
    async def wait(
        self, signal: str | Sequence[str], *, timeout: float | timedelta | None = None, all: Literal[False] = False
    ) -> Signal[Any] | None: ...

    @overload
    async def wait(
        self, signal: str | Sequence[str], *, timeout: float | timedelta | None = None, all: Literal[True]
    ) -> dict[str, Signal[Any]] | None: ...

    async def wait(
        self, signal: str | Sequence[str], *, timeout: float | timedelta | None = None, all: bool = False
    ) -> Signal[Any] | dict[str, Signal[Any]] | None:
        """Wait for a signal within the step, which is parked: it holds no worker, and runs again when that is there.

        `signal` is a name, or several: any of them, or with `all=True` all of them. Returns the Signal, or with
        `all=True` a dict of them by name; None after `timeout` (seconds or a timedelta), which counts from when the
        step first came here. A step that runs again gets its recorded calls and waits back at once; what lies outside
        of them runs again. Raises InvalidInput for arguments that mean nothing, for a signal that the agent does not
        declare, and where nothing can be parked: inside of a recorded call, in a thread, in an undo function, and
        after the step has returned. The code of a parked step ends by a StepParked, which it must let pass.
        """
        directive = Wait(signal, then=HERE, timeout=timeout, all=all)
        return await self._operations.waits.wait(self, directive)

    async def sleep(self, duration_or_time: float | timedelta | datetime) -> None:
        """Wait within the step for a duration (seconds or a timedelta) or until a time (an aware datetime), as `wait`
        does: the step is parked meanwhile. Raises InvalidInput as `wait` does."""
        await self._operations.waits.wait(self, Sleep(duration_or_time, then=HERE))

    async def fan_out(
        self,
        children: Sequence[Child],
        *,
        reserve: float | Budget | None = None,
        on_child_failure: Literal["collect", "fail"] = "collect",
        split: Literal["equal", "adaptive"] = "equal",
    ) -> list[ChildOutcome]:
        """Spawn children within the step, and return their outcomes, in the order of `children`, when all have ended.

        The step is parked meanwhile, as by `wait`; the children begin at once, and are spawned once however often the
        step runs. `reserve`, `on_child_failure` and `split` are those of FanOut: what the step keeps of the budget for
        itself, also for what it does beside; whether the first failure ends the task; how budgets are divided.
        Children of a fan-out that the step's code cancels are cancelled, and so are those of a task that ends. Raises
        InvalidInput as `wait` does, and for arguments that mean nothing; UnknownAgent; BudgetExhausted where the budget
        or the limits of trees do not allow the children; PayloadTooLarge for their inputs.
        """
        directive = FanOut(children, then=HERE, reserve=reserve, on_child_failure=on_child_failure, split=split)
        return await self._operations.waits.wait(self, directive) if directive.children else []

    async def now(self) -> datetime:
        """Return the time, in UTC: in a step that runs again, what it was when the step first came here.

        It is written to the ledger, as `random` and `uuid` are, and is no call of the budget.
        """
        return await note(self, self._operations, notes.now)

    async def random(self) -> float:
        """Return a random number from 0 up to 1, in a step that runs again the same one."""
        return await note(self, self._operations, notes.random)

    async def uuid(self) -> UUID:
        """Return a random UUID, in a step that runs again the same one."""
        return await note(self, self._operations, notes.uuid)

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Show how far the task is; frequent calls are thinned out."""
        await durably(self._operations.progress, done, total, message)

    async def emit(self, name: str, data: Any = None) -> None:
        """Append an event of the agent's own to the task's history."""
        await durably(self._operations.emit, name, data)

    async def partial(self, value: Any, *, remaining: Sequence[Any] | None = None) -> None:
        """Keep `value` as the result should this task end early, and `remaining` as what is then left to do; replaces
        what was kept before. Raises InvalidInput if `remaining` is no list, StepFailed if either has no JSON form."""
        await durably(self._operations.partial, value, remaining)

    async def hook(
        self, signal: str, *, expires: float | timedelta | None = None, once: bool = True, verify: str | None = None
    ) -> str:
        """Return a URL that sends the task a signal: a program POSTs JSON to it, a person opens it in a browser.

        It is bound to the wait that this step opens: return `Wait(signal, ...)` from the step that makes it. An answer
        that comes before is kept for the wait; one after the wait is over is refused. A repeated step gets the same
        URL, and so does a task that is resumed, to which the URL then speaks. `expires` (seconds or a timedelta): how
        long it works at most. `once=False`: it takes any number of answers, for this wait and later ones of that
        signal. `verify="standard-webhooks"`, or `"standard-webhooks:name"`: what comes must be signed with a secret of
        AGENT_TASKS_HOOK_SECRETS. Raises InvalidInput for arguments that mean nothing, in an undo function, for a
        signal that the agent does not declare, and for a secret that is not set.
        """
        return await durably(self._operations.hook, HookOptions(signal, expires, once, verify))

    async def kept(self) -> Kept | None:
        """Return what the task that this one was resumed from had kept by `partial`; None if nothing."""
        return await durably(self._operations.kept)


class SyncContext(StepContext):
    """The context of a plain `def` step: the same operations, called without await."""

    @overload
    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def call(self, function: Callable[..., Awaitable[T]], /, *args: Any, at_most_once: bool, **kwargs: Any) -> T: ...

    @overload
    def call(self, function: Callable[..., T], /, *args: Any, at_most_once: bool, **kwargs: Any) -> T: ...

    def call(self, function: Callable[..., Any], /, *args: Any, at_most_once: bool = False, **kwargs: Any) -> Any:
        """Call as `Context.call` does; an `async def` function runs on the worker's event loop."""
        self._refuse_on_loop("ctx.call")
        return SyncCalls(self, self._operations, _once(at_most_once), self._loop).make(function, args, kwargs)

    def using(
        self,
        *,
        key: str | None = None,
        name: str | None = None,
        retry: Retry | None = None,
        check: Callable[[Any], object] | None = None,
        at_most_once: bool = False,
        timeout: float | timedelta | None = None,
        reserve: Budget | None = None,
    ) -> SyncCalls:
        """Return the options for a call, as `Context.using` does."""
        options = CallOptions(key, name, retry, check, at_most_once, timeout, reserve)
        return SyncCalls(self, self._operations, options, self._loop)

    @overload
    def task(self, celery_task: CeleryTask[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def task(self, celery_task: Any, /, *args: Any, **kwargs: Any) -> Any: ...

    def task(self, celery_task: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Send a task of your Celery app and return its result, as `Context.task` does."""
        self._refuse_on_loop("ctx.task")
        return SyncCalls(self, self._operations, PLAIN, self._loop).task(celery_task, *args, **kwargs)

    def mcp(self, server: str | McpServer, /) -> SyncMcpTools:
        """Return the tools of an MCP server, as `Context.mcp` does."""
        self._refuse_on_loop("ctx.mcp")
        return SyncCalls(self, self._operations, PLAIN, self._loop).mcp(server)

    def charge(self, *, tokens: int = 0, usd: float = 0.0) -> None:
        """Count what was spent, as `Context.charge` does."""
        self._refuse_on_loop("ctx.charge")
        charge_plainly(self._operations, Spent.amounts(tokens, usd))

    def charge_usage(self, usage: Any, *, model: str, usd: float | None = None) -> None:
        """Count what a model's answer used, as `Context.charge_usage` does."""
        self._refuse_on_loop("ctx.charge_usage")
        charge_plainly(self._operations, Spent.usage(usage, model, usd))

    @overload
    def wait(
        self, signal: str | Sequence[str], *, timeout: float | timedelta | None = None, all: Literal[False] = False
    ) -> Signal[Any] | None: ...

    @overload
    def wait(
        self, signal: str | Sequence[str], *, timeout: float | timedelta | None = None, all: Literal[True]
    ) -> dict[str, Signal[Any]] | None: ...

    def wait(
        self, signal: str | Sequence[str], *, timeout: float | timedelta | None = None, all: bool = False
    ) -> Signal[Any] | dict[str, Signal[Any]] | None:
        """Wait for a signal within the step, as `Context.wait` does."""
        self._refuse_on_loop("ctx.wait")
        directive = Wait(signal, then=HERE, timeout=timeout, all=all)
        return self._operations.waits.wait_plainly(self, directive)

    def sleep(self, duration_or_time: float | timedelta | datetime) -> None:
        """Wait within the step for a duration, or until a time, as `Context.sleep` does."""
        self._refuse_on_loop("ctx.sleep")
        self._operations.waits.wait_plainly(self, Sleep(duration_or_time, then=HERE))

    def fan_out(
        self,
        children: Sequence[Child],
        *,
        reserve: float | Budget | None = None,
        on_child_failure: Literal["collect", "fail"] = "collect",
        split: Literal["equal", "adaptive"] = "equal",
    ) -> list[ChildOutcome]:
        """Spawn children within the step, and return their outcomes when all have ended, as `Context.fan_out` does."""
        self._refuse_on_loop("ctx.fan_out")
        directive = FanOut(children, then=HERE, reserve=reserve, on_child_failure=on_child_failure, split=split)
        return self._operations.waits.wait_plainly(self, directive) if directive.children else []

    def now(self) -> datetime:
        """Return the time, in UTC, as `Context.now` does."""
        self._refuse_on_loop("ctx.now")
        return note_plainly(self._operations, notes.now)

    def random(self) -> float:
        """Return a random number from 0 up to 1, in a step that runs again the same one."""
        self._refuse_on_loop("ctx.random")
        return note_plainly(self._operations, notes.random)

    def uuid(self) -> UUID:
        """Return a random UUID, in a step that runs again the same one."""
        self._refuse_on_loop("ctx.uuid")
        return note_plainly(self._operations, notes.uuid)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Show how far the task is; frequent calls are thinned out."""
        self._refuse_on_loop("ctx.progress")
        self._operations.progress(done, total, message)

    def emit(self, name: str, data: Any = None) -> None:
        """Append an event of the agent's own to the task's history."""
        self._refuse_on_loop("ctx.emit")
        self._operations.emit(name, data)

    def partial(self, value: Any, *, remaining: Sequence[Any] | None = None) -> None:
        """Keep `value` as the result should this task end early, and `remaining` as what is then left to do; replaces
        what was kept before. Raises InvalidInput if `remaining` is no list, StepFailed if either has no JSON form."""
        self._refuse_on_loop("ctx.partial")
        self._operations.partial(value, remaining)

    def hook(
        self, signal: str, *, expires: float | timedelta | None = None, once: bool = True, verify: str | None = None
    ) -> str:
        """Return a URL that sends the task a signal, as `Context.hook` does."""
        self._refuse_on_loop("ctx.hook")
        return self._operations.hook(HookOptions(signal, expires, once, verify))

    def kept(self) -> Kept | None:
        """Return what the task that this one was resumed from had kept by `partial`; None if nothing."""
        self._refuse_on_loop("ctx.kept")
        return self._operations.kept()

    def _refuse_on_loop(self, what: str) -> None:
        refuse_to_block(
            f"{what} of the plain step {self.step}",
            "call it in the step itself, or in its plain calls, and hand its async calls what they need.",
        )


def _once(at_most_once: bool) -> CallOptions:
    if at_most_once is False:
        return PLAIN
    return ONCE if at_most_once is True else CallOptions(at_most_once=at_most_once)
