"""Contexts that run calls at once and keep what a step told, and a runner of agents with their children."""

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

from agent_tasks import (
    Agent,
    AgentTaskError,
    BudgetExhausted,
    Child,
    ChildOutcome,
    ErrorInfo,
    FanOut,
    Next,
    Partial,
    TaskStatus,
    Wait,
)
from agent_tasks.bundled.research.agent import research
from agent_tasks.task.budget import Budget, Remaining, Spend, remaining


class FakeSyncContext:
    """For plain steps. `calls`, `events`, `partials`, `charges` and `steps` are what was told so far.

    `recorded` are outcomes, by function, that an earlier attempt of an async step left.
    """

    task_id = UUID(int=0)

    def __init__(self, limit: Budget | None = None) -> None:
        self.limit = limit or Budget()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.events: list[tuple[str, Any]] = []
        self.partials: list[Any] = []
        self.charges: list[tuple[int, float]] = []
        self.progressed: list[tuple[float, float, str]] = []
        self.steps: list[str] = []
        self.recorded: dict[str, Any] = {}

    @property
    def budget(self) -> Remaining:
        return remaining(self.limit, Spend(calls=len(self.calls), steps=max(0, len(self.steps) - 1)))

    def check_cancelled(self) -> None:
        pass

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        if self.budget.calls == 0:
            raise BudgetExhausted.of("calls", self.limit.calls, self.limit.calls)
        self.calls.append((function.__name__, args))
        return through_json(function(*args))

    def emit(self, name: str, data: Any) -> None:
        self.events.append((name, through_json(data)))

    def partial(self, value: Any) -> None:
        self.partials.append(through_json(value))

    def progress(self, done: float, total: float, message: str) -> None:
        self.progressed.append((done, total, message))


class FakeContext:
    """For `async def` steps, on top of what a FakeSyncContext keeps."""

    def __init__(self, kept: FakeSyncContext) -> None:
        self.kept = kept

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        self.kept.calls.append((function.__name__, args))
        if function.__name__ in self.kept.recorded:
            return self.kept.recorded[function.__name__]
        value = function(*args)
        return through_json(await value if inspect.isawaitable(value) else value)

    async def charge(self, *, tokens: int = 0, usd: float = 0.0) -> None:
        self.kept.charges.append((tokens, usd))

    async def progress(self, done: float, total: float, message: str) -> None:
        self.kept.progress(done, total, message)


def through_json(value: Any) -> Any:
    """As Postgres would give it back; fails for what jsonb refuses."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    return json.loads(text)


@dataclass
class Run:
    """What the runs of one test share."""

    kept: FakeSyncContext
    ends: Mapping[str, TaskStatus]
    """Children that do not run but end so, by their agent."""
    signal: Any
    """The payload of the signal that every wait gets; None: it times out."""

    def of(self, agent: Agent, state: Mapping[str, Any], kept: FakeSyncContext) -> Any:
        """What the last step returned, every state validated as at a hop."""
        step, handed = agent.first_step, cast("dict[str, Any]", {})
        while True:
            kept.steps.append(step.name)
            arguments = step.validate(through_json(state)) | handed
            if step.is_async:
                outcome = asyncio.run(step.function(FakeContext(kept), **arguments))
            else:
                outcome = step.function(kept, **arguments)
            if not isinstance(outcome, Next | FanOut | Wait):
                return outcome
            step, state, handed = agent.find_step(outcome.then), outcome.state, {}
            if isinstance(outcome, FanOut):
                children = [self._child(index, child) for index, child in enumerate(outcome.children)]
                handed = {"children": children}
            elif isinstance(outcome, Wait):
                found = {"name": outcome.names[0], "payload": self.signal, "sent_at": datetime.now(UTC)}
                given = [found] if self.signal is not None else []
                handed = {"signal": step.handed_signal(given, every=False)}

    def _child(self, index: int, child: Child) -> ChildOutcome:
        kept = FakeSyncContext()
        kept.__dict__ |= {name: getattr(self.kept, name) for name in ("calls", "events", "charges", "recorded")}
        name = child.agent_name
        status, result, error = TaskStatus.COMPLETED, None, None
        if name in self.ends:
            status, error = self.ends[name], BudgetExhausted("It ran out.", resource="calls").info
        else:
            try:
                result = through_json(self.of(child.agent, child.input, kept).result)
            except AgentTaskError as raised:
                status, error = TaskStatus.FAILED, raised.info
        return outcome_of(name, status, result, error, index)


def outcome_of(
    agent: str,
    status: TaskStatus = TaskStatus.COMPLETED,
    result: Any = None,
    error: ErrorInfo | None = None,
    index: int = 0,
) -> ChildOutcome:
    return ChildOutcome(
        task_id=uuid4(), index=index, agent=agent, status=status, result=result, error=error, spent=Spend(steps=1)
    )


def end(
    kept: FakeSyncContext | None = None,
    agent: Agent = research,
    ends: Mapping[str, TaskStatus] | None = None,
    signal: Any = None,
    **state: Any,
) -> Any:
    """What the agent's last step returned; children run at once, one after the other."""
    kept = kept or FakeSyncContext()
    return Run(kept, ends or {}, signal).of(agent, state, kept)


def run(kept: FakeSyncContext | None = None, **state: Any) -> dict[str, Any]:
    """The result of the research agent, which must complete."""
    outcome = end(kept, **state)
    assert not isinstance(outcome, Partial), outcome.reason
    return through_json(outcome.result)
