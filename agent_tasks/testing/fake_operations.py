"""The durable operations of a context without servers: what a step does is kept in memory, for a test to look at."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from agent_tasks.authoring.calls.branches import Branch, Branches
from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.authoring.calls.operations import (
    Answer,
    Awaited,
    Call,
    Cancellable,
    Charge,
    Intent,
    Operations,
    WaitsOfStep,
)
from agent_tasks.authoring.calls.turns import Turns
from agent_tasks.authoring.context import StepContext
from agent_tasks.authoring.directives import FanOut, Sleep, Wait
from agent_tasks.authoring.handed import ChildOutcome, Signal
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.authoring.kept import Kept
from agent_tasks.engine.steps.answers import RecordedAnswer
from agent_tasks.errors import ContextLost, InvalidInput
from agent_tasks.task.budget import Budget, Spend, check_charge, overdrawn
from agent_tasks.testing.calls import Calls
from agent_tasks.testing.stubbed import StubbedTask, instead

_LIMIT = 1024 * 1024
_KEY = "fake-{}"


class Unordered(Branches):
    """The branches of code that no worker runs: no call is refused for being like another, since none is repeated."""

    def identify(self, name: str, digest: str, key: str | None) -> tuple[Branch, CallIdentity]:
        branch = self.here()
        return branch, CallIdentity(branch.path, name, digest, branch.place(name, digest), key)


class FakeWaits(WaitsOfStep):
    """Waits that are over at once: with the signal that the test has given, else by their time-out."""

    def __init__(self, signals: Mapping[str, Any]) -> None:
        self._signals = dict(signals)
        self.waited: list[Wait | Sleep] = []

    async def wait(self, context: Cancellable, directive: Wait | Sleep | FanOut) -> Any:
        return self.wait_plainly(context, directive)

    def wait_plainly(self, context: Cancellable, directive: Wait | Sleep | FanOut) -> Any:
        if isinstance(directive, FanOut):
            raise InvalidInput(
                "A fake context spawns no children: test a step with ctx.fan_out by the fixture agent_tasks",
                field="children",
            )
        self.waited.append(directive)
        if isinstance(directive, Sleep):
            return None
        there = {name: self._signal(name) for name in directive.names if name in self._signals}
        if directive.all:
            return there if len(there) == len(directive.names) else None
        return next(iter(there.values()), None)

    def nudge(self) -> None:
        pass

    def send(self, name: str, payload: Any) -> None:
        """Have the next wait for this signal be over with it."""
        self._signals[name] = payload

    def _signal(self, name: str) -> Signal[Any]:
        return Signal(name=name, payload=self._signals[name], sent_at=datetime.now(UTC))


class FakeOperations(Operations):
    """Operations that are always done for the first time."""

    def __init__(self, task_id: UUID, limit: Budget, signals: Mapping[str, Any], kept: Kept | None) -> None:
        self.task_id = task_id
        self.branches = Unordered()
        self.turns = Turns(self.branches.tasks)
        self.calls = Calls()
        self.context: StepContext | None = None
        self.emitted: list[tuple[str, Any]] = []
        self.shown: list[tuple[float, float | None, str | None]] = []
        self.partials: list[Any] = []
        self.spent = Spend()
        self._limit = limit
        self._waits = FakeWaits(signals)
        self._kept = kept
        self._ordinals = itertools.count()

    @property
    def waits(self) -> FakeWaits:
        return self._waits

    def find(self, call: Call) -> None:
        return None

    def begin_call(self, call: Call) -> Intent:
        call.tries += 1
        self._count(Spend(calls=1))
        ordinal = next(self._ordinals)
        return Intent(call, ordinal, _KEY.format(ordinal))

    def doing(
        self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[..., Any]:
        if call.is_message:
            return function
        stub = self.calls.find(call.function, *self._where)
        self.calls.note(call.function, args, kwargs)
        return function if stub is None else instead(stub, self)

    def answer(self, call: Call, value: Any) -> RecordedAnswer:
        return RecordedAnswer(call.function, value, _LIMIT)

    def end_call(self, intent: Intent, answer: Answer, order: int) -> Any:
        return answer.value

    def fail_call(self, intent: Intent, error: BaseException, order: int, *, tried: bool) -> None:
        pass

    def cancel_call(self, intent: Intent) -> None:
        pass

    def find_charge(self, identity: CallIdentity) -> None:
        return None

    def charge(self, charge: Charge, order: int) -> None:
        check_charge(charge.tokens, charge.usd)
        self._count(Spend(tokens=charge.tokens, usd=charge.usd))

    def cancel_charge(self, identity: CallIdentity) -> None:
        pass

    def note(self, call: Call, value: Any, order: int) -> tuple[Any, Intent]:
        return value, Intent(call, next(self._ordinals), "")

    def outgoing(self, celery_task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> StubbedTask:
        stub = self.calls.find(celery_task, *self._where)
        if stub is None:
            raise InvalidInput("A Celery task cannot be sent from a fake context: stub it", field="task")
        self.calls.note(celery_task, args, kwargs)

        def told(signal: str, outcome: Any, error: dict[str, Any] | None) -> None:
            self._waits.send(signal, {"result": outcome} if error is None else {"error": error})

        return StubbedTask(celery_task, args, kwargs, stub, told)

    def note_failure(self, call: Call, error: BaseException, order: int) -> Intent:
        return Intent(call, next(self._ordinals), "")

    def has_come(self, name: str) -> bool:
        return False

    def break_off(self, problem: str) -> ContextLost:
        return ContextLost(problem)

    def is_over(self, identity: CallIdentity) -> bool:
        return False

    def inherits(self, identity: CallIdentity) -> bool:
        return False

    def ended_a_try(self, call: Call) -> bool:
        return False

    def check_wait(self, directive: Wait | Sleep | FanOut) -> None:
        pass

    def spawn(self, awaited: Awaited, order: int) -> None:
        raise NotImplementedError

    def joined(self, awaited: Awaited) -> list[ChildOutcome]:
        raise NotImplementedError

    def wait_id(self, name: str, turn: int) -> str:
        return f"{name} {turn}"

    def begin_wait(self, awaited: Awaited) -> None:
        pass

    def take_waits(self, waits: Sequence[Awaited], orders: Sequence[int]) -> list[tuple[Awaited, Any, int]]:
        return []

    def keep_waits(self, waits: Sequence[Awaited]) -> None:
        pass

    def cancel_wait(self, awaited: Awaited) -> None:
        pass

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        self.shown.append((done, total, message))

    def emit(self, name: str, data: Any) -> None:
        self.emitted.append((name, data))

    def partial(self, value: Any, remaining: Sequence[Any] | None = None) -> None:
        self.partials.append(value)

    def hook(self, asked: HookOptions) -> str:
        return f"https://hooks.invalid/{asked.signal}"

    def kept(self) -> Kept | None:
        return self._kept

    @property
    def _where(self) -> tuple[str, str]:
        return ("", "") if self.context is None else (self.context.agent, self.context.step)

    def _count(self, more: Spend) -> None:
        self.spent = self.spent + more
        if self.context is not None:
            self.context.note_spent(self.spent)
        if (error := overdrawn(self._limit, self.spent)) is not None:
            raise error
