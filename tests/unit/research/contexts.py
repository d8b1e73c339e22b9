"""Contexts that run calls at once and keep what a step told, so that steps can be called like functions."""

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

from agent_tasks import Done, Next
from workers.agents.research import research


class FakeSyncContext:
    """For plain steps. `calls`, `events`, `partials`, `charges` and `steps` are what was told so far.

    `recorded` are outcomes, by function, that an earlier attempt of an async step left.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.events: list[tuple[str, Any]] = []
        self.partials: list[Any] = []
        self.charges: list[tuple[int, float]] = []
        self.progressed: list[tuple[float, float, str]] = []
        self.steps: list[str] = []
        self.recorded: dict[str, Any] = {}

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
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


def run(kept: FakeSyncContext | None = None, **state: Any) -> dict[str, Any]:
    """The result of the agent, step by step, with every state validated as at a hop."""
    kept = kept or FakeSyncContext()
    step = research.first_step
    while True:
        kept.steps.append(step.name)
        arguments = step.validate(through_json(state))
        if step.is_async:
            outcome = asyncio.run(step.function(FakeContext(kept), **arguments))
        else:
            outcome = step.function(kept, **arguments)
        if isinstance(outcome, Done):
            return through_json(outcome.result)
        assert isinstance(outcome, Next)
        step, state = research.find_step(outcome.step), outcome.state
