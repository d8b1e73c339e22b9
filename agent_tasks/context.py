"""What a step is given: who asks, what is left, and the operations that are durable."""

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, ParamSpec, TypeVar, overload
from uuid import UUID

from agent_tasks.blocking import STEP_LOOP, refuse_to_block
from agent_tasks.budgets import Budget, Remaining, Spend, remaining
from agent_tasks.errors import LeaseLost, TaskCancelled
from agent_tasks.functions import is_async
from agent_tasks.identity import Identity
from agent_tasks.surroundings import async_surroundings, plain_surroundings

P = ParamSpec("P")
T = TypeVar("T")
NOTHING = Spend()
_LOOK_SECONDS = 1.0
"""How often a plain step that waits for its async call looks whether the loop is still there."""
_idempotency_key: ContextVar[str | None] = ContextVar("agent_tasks_idempotency_key", default=None)


@dataclass(frozen=True, slots=True)
class Intent:
    """A call that is to be made now, under its place in the ledger."""

    ordinal: int
    key: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A call that was made before, with what it returned."""

    value: Any


class Operations(ABC):
    """The durable side of a context; a worker's run implements it, blocking, on Postgres."""

    @abstractmethod
    def next_ordinal(self) -> int:
        """The place of the next call in this step; taken when `call` is called, so that gathered calls keep theirs."""

    @abstractmethod
    def begin_call(self, ordinal: int, function: Callable[..., Any], at_most_once: bool) -> Intent | Outcome: ...

    @abstractmethod
    def end_call(self, intent: Intent, function: Callable[..., Any], value: Any) -> Any: ...

    @abstractmethod
    def fail_call(self, intent: Intent, error: Exception) -> None: ...

    @abstractmethod
    def charge(self, tokens: int, usd: float) -> None: ...

    @abstractmethod
    def progress(self, done: float, total: float | None, message: str | None) -> None: ...

    @abstractmethod
    def emit(self, name: str, data: Any) -> None: ...

    @abstractmethod
    def partial(self, value: Any) -> None: ...


class StepContext:
    """What both contexts share: the attributes of the step that runs."""

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
        traceparent: str | None = None,
        loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self.task_id = task_id
        self.agent = agent
        self.step = step
        self.step_number = step_number
        """Steps committed before this one, from 0."""
        self.attempt = attempt
        """How often this step was begun, from 1."""
        self.identity = identity
        self.session_id = session_id
        self.traceparent = traceparent
        self._limit = limit
        self._spent = spent
        self._reserved = reserved
        self._started = monotonic()
        self._operations = operations
        self._loop = loop
        self._cancelled = False

    @property
    def budget(self) -> Remaining:
        """What is left now, without what living children hold; None where there is no limit."""
        return remaining(self._limit, self.spent + self._reserved)

    @property
    def spent(self) -> Spend:
        """What the task has spent up to now."""
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
        """Whether to stop: the task was cancelled, lost its lease, or is out of time. It cannot commit any more."""
        return self._cancelled or self.budget.seconds == 0

    def check_cancelled(self) -> None:
        """Raise TaskCancelled where the step should stop: for loops in plain steps."""
        if self.cancelled:
            raise TaskCancelled(f"Step {self.step} was told to stop")

    @property
    def idempotency_key(self) -> str:
        """Inside a call: a key for the outside world, stable across retries and resumes.

        Raises RuntimeError outside of `ctx.call`.
        """
        key = _idempotency_key.get()
        if key is None:
            raise RuntimeError("ctx.idempotency_key exists only inside a function that ctx.call runs")
        return key

    def stop(self) -> None:
        """Tell the step that it should end; called by the worker."""
        self._cancelled = True

    def note_spent(self, spent: Spend, reserved: Spend | None = None) -> None:
        """Take over what Postgres says is spent and held, but for seconds, whose clock runs here."""
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

        The outcome is what its JSON form validates to by the function's return annotation. A call whose worker
        died before the outcome was written is made again, unless `at_most_once`. Raises what the function
        raises; ContextLost for an at-most-once call of unknown outcome or a step that calls in another order
        than before; BudgetExhausted when no calls are left; PayloadTooLarge.
        """
        ordinal = self._operations.next_ordinal()
        begun = await self._durably(self._operations.begin_call, ordinal, function, at_most_once)
        if isinstance(begun, Outcome):
            return begun.value
        try:
            with _calling(begun.key):
                if is_async(function):
                    async with async_surroundings():
                        value = await function(*args, **kwargs)
                else:
                    value = await asyncio.to_thread(function, *args, **kwargs)
                    if inspect.isawaitable(value):
                        value = await value
        except Exception as error:
            await self._durably(self._operations.fail_call, begun, error)
            raise
        return await self._durably(self._operations.end_call, begun, function, value)

    async def charge(self, *, tokens: int = 0, usd: float = 0.0) -> None:
        """Count what was spent. Raises BudgetExhausted when that passes the task's limit."""
        await self._durably(self._operations.charge, tokens, usd)

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Show how far the task is; frequent calls are thinned out."""
        await self._durably(self._operations.progress, done, total, message)

    async def emit(self, name: str, data: Any = None) -> None:
        """Append an event of your own to the task's history."""
        await self._durably(self._operations.emit, name, data)

    async def partial(self, value: Any) -> None:
        """Keep `value` as the result if this task ends early; replaces what was kept before."""
        await self._durably(self._operations.partial, value)

    async def _durably(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A write that has begun is waited for even when the step is cancelled: its result must be known."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(_executor_of(loop), lambda: operation(*args, **kwargs))
        return await asyncio.shield(future)


class SyncContext(StepContext):
    """The context of a plain `def` step: the same operations, called plainly."""

    @overload
    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def call(self, function: Callable[..., Awaitable[T]], /, *args: Any, at_most_once: bool, **kwargs: Any) -> T: ...

    @overload
    def call(self, function: Callable[..., T], /, *args: Any, at_most_once: bool, **kwargs: Any) -> T: ...

    def call(self, function: Callable[..., Any], /, *args: Any, at_most_once: bool = False, **kwargs: Any) -> Any:
        """As `Context.call`; an `async def` function runs on the worker's event loop."""
        self._refuse_on_loop("ctx.call")
        begun = self._operations.begin_call(self._operations.next_ordinal(), function, at_most_once)
        if isinstance(begun, Outcome):
            return begun.value
        try:
            if is_async(function):
                value = self._on_loop(function, begun.key, args, kwargs)
            else:
                with _calling(begun.key), plain_surroundings():
                    value = function(*args, **kwargs)
        except LeaseLost:
            raise
        except Exception as error:
            self._operations.fail_call(begun, error)
            raise
        return self._operations.end_call(begun, function, value)

    def _refuse_on_loop(self, what: str) -> None:
        refuse_to_block(
            f"{what} of the plain step {self.step}",
            "call it in the step itself, or in its plain calls, and hand its async calls what they need.",
        )

    def _on_loop(self, function: Callable[..., Any], key: str, args: Any, kwargs: Any) -> Any:
        async def run() -> Any:
            with _calling(key):
                async with async_surroundings():
                    return await function(*args, **kwargs)

        if self._loop is None:
            return asyncio.run(run())
        loop = self._loop()
        future = asyncio.run_coroutine_threadsafe(run(), loop)
        while True:
            try:
                return future.result(timeout=_LOOK_SECONDS)
            except TimeoutError:  # the function's own, or nothing has come yet
                if future.done():
                    return future.result()
                if hasattr(loop, "agent_tasks_abandoned"):
                    raise LeaseLost("a step blocked the event loop, which was replaced") from None

    def charge(self, *, tokens: int = 0, usd: float = 0.0) -> None:
        """Count what was spent. Raises BudgetExhausted when that passes the task's limit."""
        self._refuse_on_loop("ctx.charge")
        self._operations.charge(tokens, usd)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Show how far the task is; frequent calls are thinned out."""
        self._refuse_on_loop("ctx.progress")
        self._operations.progress(done, total, message)

    def emit(self, name: str, data: Any = None) -> None:
        """Append an event of your own to the task's history."""
        self._refuse_on_loop("ctx.emit")
        self._operations.emit(name, data)

    def partial(self, value: Any) -> None:
        """Keep `value` as the result if this task ends early; replaces what was kept before."""
        self._refuse_on_loop("ctx.partial")
        self._operations.partial(value)


@contextmanager
def _calling(key: str) -> Generator[None]:
    token = _idempotency_key.set(key)
    try:
        yield
    finally:
        _idempotency_key.reset(token)


def _executor_of(loop: asyncio.AbstractEventLoop) -> Any:
    """The worker's few database threads; the loop's default executor elsewhere."""
    return getattr(loop, STEP_LOOP, None)
