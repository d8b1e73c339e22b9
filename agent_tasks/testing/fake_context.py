"""Contexts without servers: for a test that calls a step as the plain function that it is."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack
from uuid import UUID

from agent_tasks.authoring.context import Context, SyncContext
from agent_tasks.authoring.directives import Sleep, Wait
from agent_tasks.authoring.kept import Kept
from agent_tasks.task.budget import Budget, Spend
from agent_tasks.task.identity import Identity
from agent_tasks.testing.calls import Calls
from agent_tasks.testing.fake_operations import FakeOperations

_TASK = UUID(int=1)


class FakeOptions(TypedDict, total=False):
    """What a fake context says of its step; the rest has values of its own."""

    task_id: UUID
    agent: str
    step: str
    step_number: int
    attempt: int
    identity: Identity | None
    session_id: str | None
    budget: Budget
    """What the step may spend."""
    signals: Mapping[str, Any]
    """The payloads of the signals that `ctx.wait` finds; a wait for others times out at once."""
    kept: Kept | None
    """What `ctx.kept()` returns."""


class _Fake:
    """What a test looks at after it has called a step."""

    _operations: FakeOperations

    @property
    def calls(self) -> Calls:
        """The calls of the step: stubs for them, and those that were made. None runs for real but by `allow`."""
        return self._operations.calls

    @property
    def charged(self) -> Spend:
        """What the step has spent so far, by charges and by the number of its calls."""
        return self._operations.spent

    @property
    def emitted(self) -> Sequence[tuple[str, Any]]:
        """The events that `ctx.emit` was given, as (name, data)."""
        return self._operations.emitted

    @property
    def shown(self) -> Sequence[tuple[float, float | None, str | None]]:
        """The progress that was shown, as (done, total, message)."""
        return self._operations.shown

    @property
    def partials(self) -> Sequence[Any]:
        """The values that `ctx.partial` was given."""
        return self._operations.partials

    @property
    def waited(self) -> Sequence[Wait | Sleep]:
        """The waits and sleeps within the step."""
        return self._operations.waits.waited


class FakeContext(_Fake, Context):
    """A `Context` for an async step that a test awaits itself: `await outline(FakeContext(), topic="tides")`.

    Nothing is recorded or repeated. A wait is over at once: with the signal given in `signals`, else by its time-out.
    """

    def __init__(self, **options: Unpack[FakeOptions]) -> None:
        operations, given = _made_of(options)
        super().__init__(operations=operations, **given)
        operations.context = self


class FakeSyncContext(_Fake, SyncContext):
    """A `SyncContext` for a plain step, as `FakeContext` is for an async one."""

    def __init__(self, **options: Unpack[FakeOptions]) -> None:
        operations, given = _made_of(options)
        super().__init__(operations=operations, **given)
        operations.context = self


def _made_of(options: FakeOptions) -> tuple[FakeOperations, dict[str, Any]]:
    limit, task_id = options.get("budget", Budget()), options.get("task_id", _TASK)
    operations = FakeOperations(task_id, limit, options.get("signals", {}), options.get("kept"))
    given: dict[str, Any] = {
        "task_id": task_id,
        "agent": options.get("agent", "fake"),
        "step": options.get("step", "fake"),
        "step_number": options.get("step_number", 0),
        "attempt": options.get("attempt", 1),
        "identity": options.get("identity"),
        "session_id": options.get("session_id"),
        "limit": limit,
        "spent": Spend(),
    }
    return operations, given
