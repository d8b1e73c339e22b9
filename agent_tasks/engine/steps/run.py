"""A step run: one claimed step in this process, from its claim to its result."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from agent_tasks.authoring.agent import Agent
from agent_tasks.authoring.calls.operations import Awaited
from agent_tasks.authoring.context import Context, SyncContext
from agent_tasks.authoring.step import Step
from agent_tasks.engine.observers.step_span import StepSpan
from agent_tasks.engine.process.loop import StepLoop
from agent_tasks.engine.steps.operations import StepOperations
from agent_tasks.errors import AgentTaskError, BudgetExhausted, StepFailed
from agent_tasks.transitions.claim import Claim


@dataclass(frozen=True, slots=True)
class Returned:
    """The result of a step that came back with a directive or a bare value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The result of a step that raised."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Stopped:
    """The result of a step that was told to stop and did: whatever it has cannot be committed."""


@dataclass(frozen=True, slots=True)
class Parked:
    """The result of a step that only waits, and whose code has ended so that it can be parked."""

    waits: Sequence[Awaited]


StepResult = Returned | Raised | Stopped | Parked


@dataclass(eq=False)
class StepRun:
    """A step under way, as the executor hands it from phase to phase."""

    claim: Claim
    agent: Agent
    step: Step
    arguments: dict[str, Any]
    context: Context | SyncContext
    operations: StepOperations
    quantum_ends: float
    """Monotonic time until which the worker goes on with next steps in place."""
    loop: StepLoop | None = None
    """The loop on which an async step runs."""
    started: float = field(default_factory=monotonic)
    deadline: float | None = None
    """Monotonic time at which the budget of seconds is over, or the time that an undo function has."""
    stopped_at: float | None = None
    hurried: bool = False
    """Whether the task was cancelled while this undo function ran, which has less time from then on."""
    given_up: bool = False
    """Whether the slot was counted as lost: whatever still comes back is dropped."""
    returned: bool = False
    """Whether the function has come back, in time or not."""
    span: StepSpan | None = None
    """Its span, where it is traced."""
    cancel_async: Callable[[], None] | None = None

    @property
    def seconds(self) -> float:
        return monotonic() - self.started

    def stop(self) -> None:
        """Tell the step to end: it was cancelled, or its lease is lost. From any thread."""
        if self.stopped_at is None:
            self.stopped_at = monotonic()
            self.context.stop()
            if self.cancel_async is not None:
                self.cancel_async()

    def hurry(self, seconds: float) -> None:
        """Give an undo function so many more seconds, at most."""
        ends = monotonic() + seconds
        self.hurried = True
        self.deadline = ends if self.deadline is None else min(self.deadline, ends)

    def overdue(self, now: float) -> float:
        """Seconds since the step should have ended; 0 where it need not yet."""
        ends = [t for t in (self.deadline, self.stopped_at) if t is not None]
        return max(0.0, now - min(ends)) if ends else 0.0

    def out_of_time(self) -> AgentTaskError:
        """The error of a step that goes on past its deadline."""
        claim = self.claim
        if claim.undo_step is None:
            return BudgetExhausted.of("seconds", claim.budget.seconds or 0.0, claim.spent.seconds + self.seconds)
        seconds = (self.deadline or self.started) - self.started
        why = "the task was cancelled again" if self.hurried else "AGENT_TASKS_UNDO_SECONDS"
        return StepFailed(f"{claim.step} did not end within {seconds:.3g} s ({why})", step=claim.step)


running: ContextVar[StepRun | None] = ContextVar("agent_tasks_running", default=None)
"""The run whose code this is: set in the step, and so in all that it starts."""
