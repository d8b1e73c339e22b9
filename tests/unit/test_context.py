"""Contexts: the same operations for both kinds of steps, and steps that run without a worker."""

import asyncio
import gc
import inspect
import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from weakref import WeakSet

import pytest

from agent_tasks import Budget, BudgetExhausted, Context, Done, Next, SyncContext, TaskCancelled
from agent_tasks.authoring.calls.branches import Branches, follow
from agent_tasks.authoring.calls.call_identity import CallIdentity, digest_of
from agent_tasks.authoring.calls.operations import Answer, Awaited, Call, Charge, Given, Intent, Operations, Outgoing
from agent_tasks.authoring.calls.turns import Turns
from agent_tasks.authoring.calls.waits import Waits
from agent_tasks.authoring.context import StepContext
from agent_tasks.authoring.directives import Sleep, Wait
from agent_tasks.authoring.handed import ChildOutcome
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.authoring.kept import Kept
from agent_tasks.errors import ContextLost
from agent_tasks.task.budget import Spend

OPERATIONS = [
    "call", "charge", "charge_usage", "emit", "fan_out", "hook", "kept", "mcp", "now", "partial", "progress", "random",
    "sleep", "task", "using", "uuid", "wait",
]  # fmt: skip
ATTRIBUTES = [
    "task_id", "agent", "step", "step_number", "attempt", "identity", "session_id", "traceparent", "budget", "deadline",
    "cancelled",
]  # fmt: skip


class Before(Given):
    """A call of an earlier run."""

    def __init__(self, value: Any) -> None:
        self.value = value

    async def turn(self) -> None:
        await asyncio.sleep(0)

    def outcome(self) -> Any:
        return self.value

    @property
    def is_cancelled(self) -> bool:
        return False


class Returned(Answer):
    def __init__(self, value: Any) -> None:
        self.given = value

    @property
    def value(self) -> Any:
        return self.given


class Recorded(Operations):
    """Operations that keep what they were told; `outcomes` are of an earlier run, by the first argument's digest."""

    def __init__(self, outcomes: dict[str, Any] | None = None) -> None:
        self.outcomes = outcomes or {}
        self.recorded: list[Any] = []
        self.branches = Branches()
        self.turns = Turns(self.branches.tasks)
        self._waits = Waits(self, "outline")
        self._ordinals = itertools.count()

    @property
    def waits(self) -> Waits:
        return self._waits

    def find(self, call: Call) -> Before | None:
        digest = call.identity.digest
        return Before(self.outcomes[digest]) if digest in self.outcomes else None

    def begin_call(self, call: Call) -> Intent:
        ordinal = next(self._ordinals)
        call.tries += 1
        self.recorded.append(("begin", ordinal, call.options.at_most_once))
        return Intent(call, ordinal, f"key{ordinal}")

    def answer(self, call: Call, value: Any) -> Returned:
        return Returned(value)

    def end_call(self, intent: Intent, answer: Answer, order: int) -> Any:
        self.recorded.append(("end", intent.ordinal, answer.value))
        return answer.value

    def fail_call(self, intent: Intent, error: BaseException, order: int, *, tried: bool) -> None:
        self.recorded.append(("tried" if tried else "failed", intent.ordinal, str(error)))

    def cancel_call(self, intent: Intent) -> None:
        self.recorded.append(("cancelled", intent.ordinal))

    def find_charge(self, identity: CallIdentity) -> None:
        return None

    def cancel_charge(self, identity: CallIdentity) -> None:
        self.recorded.append(("charge cancelled", identity))

    def charge(self, charge: Charge, order: int) -> None:
        self.recorded.append(("charge", charge.tokens, charge.usd))

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        self.recorded.append(("progress", done, total, message))

    def emit(self, name: str, data: Any) -> None:
        self.recorded.append(("emit", name, data))

    def partial(self, value: Any, remaining: Sequence[Any] | None = None) -> None:
        self.recorded.append(("partial", value, remaining))

    def hook(self, asked: HookOptions) -> str:
        return f"https://acme.example/hooks/{asked.signal}"

    def note(self, call: Call, value: Any, order: int) -> tuple[Any, Intent]:
        self.recorded.append(("note", value))
        return value, Intent(call, next(self._ordinals), "key")

    def outgoing(self, celery_task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outgoing:
        raise NotImplementedError

    def note_failure(self, call: Call, error: BaseException, order: int) -> Intent:
        raise NotImplementedError

    def has_come(self, name: str) -> bool:
        return False

    def is_over(self, identity: CallIdentity) -> bool:
        return False

    def break_off(self, problem: str) -> ContextLost:
        raise NotImplementedError

    def inherits(self, identity: CallIdentity) -> bool:
        return False

    def ended_a_try(self, call: Call) -> bool:
        return False

    def check_wait(self, directive: Wait | Sleep) -> None:
        self.recorded.append(("wait", directive))

    def wait_id(self, name: str, turn: int) -> str:
        return f"{name} {turn}"

    def begin_wait(self, awaited: Awaited) -> None:
        awaited.call.record = SimpleNamespace(ordinal=next(self._ordinals))

    def spawn(self, awaited: Awaited, order: int) -> None:
        self.recorded.append(("spawn", awaited.directive))

    def joined(self, awaited: Awaited) -> list[ChildOutcome]:
        raise NotImplementedError

    def take_waits(self, waits: Sequence[Awaited], orders: Sequence[int]) -> list[tuple[Awaited, Any, int]]:
        return [(waits[0], "came", orders[0])]

    def keep_waits(self, waits: Sequence[Awaited]) -> None:
        raise NotImplementedError

    def cancel_wait(self, awaited: Awaited) -> None:
        self.recorded.append(("wait cancelled", awaited))

    def kept(self) -> Kept | None:
        return Kept(value="k", remaining=[1])


def context(
    kind: type[StepContext],
    operations: Operations | None = None,
    limit: Budget | None = None,
    spent: Spend | None = None,
) -> Any:
    return kind(
        task_id=UUID(int=1), agent="writer", step="outline", step_number=2, attempt=1, identity=None, session_id="s",
        limit=limit or Budget(), spent=spent or Spend(), operations=operations or Recorded(),
    )  # fmt: skip


def operate(kind: type[StepContext], operations: Operations, step: Callable[[Any], list[Any]]) -> list[Any]:
    """Run the operations that `step` yields, on either kind of context; returns what they gave."""
    given = context(kind, operations)
    if kind is SyncContext:
        token = operations.branches.enter()
        try:
            return step(given)
        finally:
            operations.branches.leave(token)

    async def run() -> list[Any]:
        operations.branches.enter()
        return [await value for value in step(given)]

    return asyncio.run(run())


both = pytest.mark.parametrize("kind", [Context, SyncContext])


def test_both_contexts_have_the_same_operations_with_the_same_arguments() -> None:
    found = {
        kind: {name for name, member in vars(kind).items() if inspect.isfunction(member) and not name.startswith("_")}
        for kind in (Context, SyncContext)
    }
    assert found[Context] == found[SyncContext] == set(OPERATIONS)
    for name in OPERATIONS:
        here, there = getattr(Context, name), getattr(SyncContext, name)
        assert inspect.signature(here).parameters == inspect.signature(there).parameters
        assert inspect.iscoroutinefunction(here) == (name not in ("mcp", "using"))
        assert not inspect.iscoroutinefunction(there)


@both
def test_a_context_has_the_attributes_of_the_contract(kind: type[StepContext]) -> None:
    given = context(kind)
    for name in ATTRIBUTES:
        getattr(given, name)
    assert (given.task_id, given.agent, given.step, given.step_number) == (UUID(int=1), "writer", "outline", 2)


@both
def test_operations_are_handed_on_as_they_were_given(kind: type[StepContext]) -> None:
    operations = Recorded()
    operate(
        kind,
        operations,
        lambda ctx: [
            ctx.charge(tokens=3, usd=0.5),
            ctx.progress(1, 2, "half"),
            ctx.emit("found", [1]),
            ctx.partial("x"),
        ],
    )
    assert operations.recorded == [
        ("charge", 3, 0.5),
        ("progress", 1, 2, "half"),
        ("emit", "found", [1]),
        ("partial", "x", None),
    ]


def plain(value: int, *, more: int = 0) -> int:
    return value + more


async def awaited(value: int, *, more: int = 0) -> int:
    await asyncio.sleep(0)
    return value + more


@both
@pytest.mark.parametrize("function", [plain, awaited])
def test_a_call_is_recorded_before_and_after_it_is_made(kind: type[StepContext], function: Any) -> None:
    operations = Recorded()
    given = operate(
        kind, operations, lambda ctx: [ctx.call(function, 1, more=2), ctx.call(function, 5, at_most_once=True)]
    )
    assert given == [3, 5]
    assert operations.recorded == [("begin", 0, False), ("end", 0, 3), ("begin", 1, True), ("end", 1, 5)]


@both
def test_a_recorded_call_is_not_made_again(kind: type[StepContext]) -> None:
    made: list[int] = []
    operations = Recorded({digest_of((0,), {}): "recorded"})
    assert operate(kind, operations, lambda ctx: [ctx.call(made.append, 0), ctx.call(made.append, 1)]) == [
        "recorded",
        None,
    ]
    assert made == [1]


def broken() -> None:
    raise OSError("no answer")


@both
def test_a_call_that_raises_is_recorded_as_failed_and_raises(kind: type[StepContext]) -> None:
    operations = Recorded()
    with pytest.raises(OSError, match="no answer"):
        operate(kind, operations, lambda ctx: [ctx.call(broken)])
    assert operations.recorded == [("begin", 0, False), ("failed", 0, "no answer")]


@both
def test_the_idempotency_key_is_there_inside_of_a_call_only(kind: type[StepContext]) -> None:
    given = context(kind)
    seen = operate(kind, Recorded(), lambda ctx: [ctx.call(lambda: ctx.idempotency_key) for _ in range(2)])
    assert seen == ["key0", "key1"]
    with pytest.raises(RuntimeError, match=r"only inside"):
        _ = given.idempotency_key


def test_calls_made_at_once_keep_their_place_and_their_key() -> None:
    operations = Recorded()
    ctx: Context = context(Context, operations)

    async def keyed(n: int) -> tuple[int, str]:
        await asyncio.sleep(0.01 * (3 - n))
        return n, ctx.idempotency_key

    async def run() -> list[Any]:
        return await asyncio.gather(*(ctx.call(keyed, n) for n in range(3)))

    assert asyncio.run(run()) == [(0, "key0"), (1, "key1"), (2, "key2")]


def test_a_step_is_tested_by_calling_it_and_looking_at_what_it_returns() -> None:
    async def outline(ctx: Context, topic: str) -> Next | Done:
        plan = await ctx.call(awaited, 2)
        if ctx.budget.tokens is not None and ctx.budget.tokens < plan:
            return Done("too dear")
        return Next("combine", topic=topic, plan=plan)

    assert asyncio.run(outline(context(Context), "tides")) == Next("combine", topic="tides", plan=2)
    short = context(Context, limit=Budget(tokens=10), spent=Spend(tokens=9))
    assert asyncio.run(outline(short, "tides")) == Done("too dear")


@both
def test_the_budget_is_what_is_left_now(kind: type[StepContext]) -> None:
    given = context(kind, limit=Budget(seconds=60, tokens=10, usd=1.0), spent=Spend(seconds=20, tokens=4))
    assert 39 < given.budget.seconds <= 40
    assert (given.budget.tokens, given.budget.usd, given.budget.steps) == (6, 1.0, None)
    assert abs(given.deadline - datetime.now(UTC) - timedelta(seconds=40)) < timedelta(seconds=1)
    given.note_spent(Spend(tokens=9, usd=0.4))
    assert (given.budget.tokens, given.budget.usd) == (1, 0.6)
    assert 39 < given.budget.seconds <= 40


@both
def test_without_a_limit_there_is_no_deadline_and_nothing_to_stop(kind: type[StepContext]) -> None:
    given = context(kind)
    assert (given.deadline, given.cancelled, given.budget.seconds) == (None, False, None)
    given.check_cancelled()


@both
@pytest.mark.parametrize("seconds", [1e10, 1e15, 1e300])
def test_a_deadline_beyond_all_calendars_can_still_be_asked_for(kind: type[StepContext], seconds: float) -> None:
    deadline = context(kind, limit=Budget(seconds=seconds)).deadline
    assert deadline is None or deadline > datetime.now(UTC)


@both
def test_a_step_that_is_stopped_or_out_of_time_is_cancelled(kind: type[StepContext]) -> None:
    stopped, late = context(kind), context(kind, limit=Budget(seconds=1), spent=Spend(seconds=1))
    stopped.stop()
    for given in (stopped, late):
        assert given.cancelled
        with pytest.raises(TaskCancelled):
            given.check_cancelled()


@both
def test_an_exhausted_budget_stops_the_step_where_it_charges(kind: type[StepContext]) -> None:
    class Poor(Recorded):
        def charge(self, charge: Charge, order: int) -> None:
            raise BudgetExhausted.of("tokens", 1, charge.tokens)

    with pytest.raises(BudgetExhausted):
        operate(kind, Poor(), lambda ctx: [ctx.charge(tokens=2)])


def test_a_task_that_has_ended_is_let_go_with_its_result_while_the_step_goes_on() -> None:
    class Page:
        pass

    async def read(pages: WeakSet[Page]) -> Page:
        pages.add(page := Page())
        return page

    async def step() -> int:
        pages: WeakSet[Page] = WeakSet()
        branches.enter()
        for _ in range(20):
            await asyncio.create_task(read(pages))
        gc.collect()
        return len(pages)

    branches = Branches()
    with asyncio.Runner() as runner:
        follow(runner.get_loop())
        assert runner.run(step()) <= 1
    assert len(branches.at) <= 1
