"""replay: the steps of a task that was exported, run again where there is no deployment, with its calls answered."""

import asyncio
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from agent_tasks.authoring.agent import loaded_agents
from agent_tasks.authoring.calls import branches
from agent_tasks.authoring.context import Context, SyncContext
from agent_tasks.authoring.functions import is_async
from agent_tasks.authoring.step import Step
from agent_tasks.engine.process.loading import load
from agent_tasks.engine.steps.admission import code_of
from agent_tasks.engine.steps.decision import Drop, EndWith, ParkFor, RetryAfter, Undone, decide
from agent_tasks.engine.steps.invocation import invoke_async, invoke_plain
from agent_tasks.engine.steps.run import Parked, Raised, Returned, StepResult, StepRun
from agent_tasks.errors import InvalidInput
from agent_tasks.task import payloads
from agent_tasks.testing.calls import Calls, Refused, UnexpectedCall
from agent_tasks.testing.deployment import TestedDeployment, settings_of_test
from agent_tasks.testing.recording import Recording
from agent_tasks.testing.replayed_operations import ReplayedOperations
from agent_tasks.transitions.complete import Finish

_NOWHERE = "postgresql://replay.invalid/none"
_OVERRUN_SECONDS = 5.0


class ReplayDiffers(AssertionError):
    """Raised where a step does something else than it had done when the task was recorded."""


@dataclass(frozen=True)
class Replayed:
    """What came of a replay."""

    path: tuple[str, ...]
    """The steps that ran, in order."""
    result: Any = None
    """The result with which the last of them ended the task."""
    then: str | None = None
    """The step with which the task would go on now, where the recording ends in the midst of it."""
    waits_for: tuple[str, ...] = ()
    """The signals that the last step waits for within itself, or "timer" or "children"."""


def replay(path: str | os.PathLike[str], *, stop_at: str | int | None = None, calls: Calls | None = None) -> Replayed:
    """Run the steps of a task again that `agent-tasks export` has written to a file, in this process and thread.

    No server is needed, and nothing is written or sent: each call, wait, charge and hook of a step is answered by what
    was recorded of it. A breakpoint in the code of a step holds there; with `stop_at`, the name of a step or its number
    from 0, `breakpoint()` is called right before its function. The agent is one that is loaded, or that the settings
    name.

    Raises what a step raises, as the recorded failure of a task that failed; ReplayDiffers where a step goes on with
    another step, state or result than it had; ContextLost where it leaves out or changes a recorded call;
    UnexpectedCall for a call that is not recorded and that `calls` neither stubs nor allows. A step that the task was
    in the midst of may go on where it had failed. Undo functions are not run.
    """
    recording = Recording.read(path)
    if recording.task["agent"] not in loaded_agents():
        load(settings_of_test(_NOWHERE))
    deployment = TestedDeployment(settings_of_test(_NOWHERE), lambda _: None)
    allowed, ran = calls or Calls(), list[str]()
    numbers = [*sorted(recording.committed), *([] if recording.current is None else [recording.current])]
    if not numbers:
        raise InvalidInput("The task has begun no step yet: there is nothing to replay.", field="path")
    came = Replayed(())
    try:
        for number in numbers:
            operations = ReplayedOperations(deployment, recording.claim(number), recording, allowed)
            run = _run_of(recording, number, operations, stop_at)
            ran.append(run.claim.step)
            came = replace(_came_of(recording, run), path=tuple(ran))
    finally:
        deployment.close()
    return came


def _run_of(recording: Recording, number: int, operations: ReplayedOperations, stop_at: str | int | None) -> StepRun:
    claim = recording.claim(number)
    agent, step = code_of(claim)
    if claim.state is None:
        raise InvalidInput(f"The state of step {claim.step} was purged: it cannot be replayed.", field="path")
    arguments = step.bind(claim.state)
    if "children" in step.wants:
        arguments["children"] = recording.children(number)
    if "signal" in step.wants:
        every = (claim.awaits or {}).get("mode") == "all"
        arguments["signal"] = step.handed_signal(recording.signals(number), every=every)
    context = (Context if step.is_async else SyncContext)(
        task_id=claim.id,
        agent=claim.agent,
        step=claim.step,
        step_number=number,
        attempt=claim.attempt,
        identity=claim.identity,
        session_id=claim.session_id,
        traceparent=recording.task["traceparent"],
        limit=claim.budget,
        spent=claim.spent,
        operations=operations,
    )
    operations.context = context
    if stop_at is not None and stop_at in (number, claim.step, step.now):
        step = _stopping(step)
    return StepRun(claim, agent, step, arguments, context, operations, quantum_ends=0.0)


def _stopping(step: Step) -> Step:
    function: Callable[..., Any] = step.function
    if is_async(function):

        @functools.wraps(function)
        async def begin_async(*args: Any, **kwargs: Any) -> Any:
            breakpoint()
            return await function(*args, **kwargs)

        return replace(step, function=begin_async)

    @functools.wraps(function)
    def begin(*args: Any, **kwargs: Any) -> Any:
        breakpoint()
        return function(*args, **kwargs)

    return replace(step, function=begin)


def _came_of(recording: Recording, run: StepRun) -> Replayed:
    """Run a step, and compare what comes of it with what had come. Raises what `replay` raises."""
    result = asyncio.run(_invoked(run)) if run.step.is_async else invoke_plain(run)
    done = recording.committed.get(run.claim.step_number)
    if isinstance(result, Raised):
        error = result.error
        if isinstance(error, Refused):
            raise UnexpectedCall(f"{error} It is not in the recording.") from None
        error.add_note(f"in step {run.claim.step} ({run.claim.step_number}) of the replayed task {run.claim.id}")
        raise error
    if isinstance(result, Parked):
        if done is not None:
            raise _differs(run, f"waits for {', '.join(_waits_of(result))}", _said_of(recording, done))
        return Replayed((), waits_for=_waits_of(result))
    assert isinstance(result, Returned), result
    decision = decide(run, result, limit=payloads.DEFAULT_LIMIT, draining=True)
    if isinstance(decision, EndWith | RetryAfter):  # what it returned is refused
        raise decision.cause
    if isinstance(decision, Finish):
        came = Replayed((), result=payloads.stored(decision.result))
        if done is not None and (done["next_step"] is not None or came.result != recording.task["result"]):
            raise _differs(run, f"ends with {came.result!r}", _said_of(recording, done))
        return came
    assert not isinstance(decision, ParkFor | Undone | Drop), decision
    committed = decision.committed
    state = payloads.stored(committed.state)
    if done is not None and (committed.next_step, state) != (done["next_step"], done["state"]):
        raise _differs(run, f"goes on with {committed.next_step} and {state!r}", _said_of(recording, done))
    return Replayed((), then=committed.next_step)


async def _invoked(run: StepRun) -> StepResult:
    branches.follow(asyncio.get_running_loop())
    return await invoke_async(run, _OVERRUN_SECONDS)


def _waits_of(parked: Parked) -> tuple[str, ...]:
    names = [name for awaited in parked.waits for name in getattr(awaited.directive, "names", ())]
    kinds = ["children" if awaited.has_children else "timer" for awaited in parked.waits if not awaited.turns]
    return (*names, *kinds)


def _said_of(recording: Recording, done: dict[str, Any]) -> str:
    if done["next_step"] is None:
        return f"ended with {recording.task['result']!r}"
    return f"went on with {done['next_step']} and {done['state']!r}"


def _differs(run: StepRun, now: str, before: str) -> ReplayDiffers:
    return ReplayDiffers(f"step {run.claim.step} ({run.claim.step_number}) {now}; when it was recorded, it {before}")
