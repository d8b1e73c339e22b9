"""Running the function of a step: on the event loop or in the slot, with its deadline and its cancellation."""

import asyncio
import contextvars
import decimal
import inspect
import signal
import threading
from time import monotonic
from typing import Any, cast

from agent_tasks.authoring.calls.parked import is_parked
from agent_tasks.authoring.calls.writes import durably
from agent_tasks.authoring.context import Context
from agent_tasks.authoring.place import Place, place
from agent_tasks.authoring.surroundings import async_surroundings, plain_surroundings
from agent_tasks.engine.process.forks import leave_if_child
from agent_tasks.engine.steps.run import Parked, Raised, Returned, StepResult, StepRun, Stopped, running
from agent_tasks.errors import InvalidInput, StepFailed

_GLANCE_SECONDS = 0.05
_CODES_OF_SIGNALS = {number - 256 for number in signal.Signals}
"""What billiard's handler exits with in a child of a pool, in the midst of what the child runs."""


def invoke_plain(run: StepRun) -> StepResult:
    """Call a plain step. Nothing can stop it but itself: it sees `ctx.cancelled`, and the fence refuses its commit.

    It runs in a context of its own: what it sets in context variables is gone with it. Raises SystemExit, the run being
    stopped, where Celery ends the process because of a signal.
    """
    result = contextvars.copy_context().run(_call_plain, run)
    idle = threading.Event()
    if not run.operations.branches.close(idle.set):  # calls of its own threads go on
        while not idle.wait(_GLANCE_SECONDS) and not run.given_up and not run.overdue(monotonic()):
            pass
    return _checked(run, result)


def _call_plain(run: StepRun) -> StepResult:
    _set_out(run)
    try:
        if run.claim.repeated:
            run.operations.load()
        with plain_surroundings():
            value = run.step.function(run.context, **run.arguments)
    except BaseException as error:
        leave_if_child(error)
        if (end := _end_of_process(error)) is not None:
            run.stop()
            raise end from None
        return Raised(error)
    leave_if_child()
    if inspect.iscoroutine(value):
        value.close()
        problem = f"Step {run.claim.step} is a plain function and returned a coroutine: declare it as `async def`"
        return Raised(InvalidInput(problem))
    run.operations.branches.root.returned = True
    return Returned(value)


def _end_of_process(error: BaseException | None) -> SystemExit | None:
    """The SystemExit that a signal to a child of Celery's prefork pool raised, wherever it was: an error may have come
    of it. (Its code is that of no program.)"""
    while error is not None:
        if isinstance(error, SystemExit) and error.code in _CODES_OF_SIGNALS:
            return error
        error = error.__context__
    return None


async def invoke_async(run: StepRun, overrun_seconds: float) -> StepResult:
    """Await an async step; past its deadline, or when it is told to stop, it is cancelled.

    One that does not end within `overrun_seconds` of that is left behind: its result would be refused.
    """
    loop = asyncio.get_running_loop()
    step = loop.create_task(_step(run, overrun_seconds))
    left_behind: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        run.context.stop()  # what is cancelled from now on is not cancelled by the step itself
        step.cancel()
        loop.call_later(overrun_seconds, lambda: left_behind.done() or left_behind.set_result(None))

    run.cancel_async = lambda: cast(None, loop.call_soon_threadsafe(end))
    if run.stopped_at is not None:  # told to stop before there was anything to cancel
        end()
    timer = None if run.deadline is None else loop.call_at(loop.time() + run.deadline - monotonic(), end)
    await asyncio.wait({step, left_behind}, return_when=asyncio.FIRST_COMPLETED)
    if timer is not None:
        timer.cancel()
    left_behind.cancel()
    return _checked(run, step.result() if step.done() and not step.cancelled() else _cancelled_itself(run))


async def _step(run: StepRun, overrun_seconds: float) -> StepResult:
    """Call the step, and let the calls that it has begun end by themselves: they may be paid for already."""
    try:
        result = await _call(run)
    except GeneratorExit as error:  # a future's: thrown in here, it closes what is inside of here
        result = Raised(error)
    loop, idle = asyncio.get_running_loop(), asyncio.Event()
    branches, others = run.operations.branches, list[asyncio.Task[Any]]()
    try:
        if not branches.close(lambda: cast(None, loop.call_soon_threadsafe(idle.set))):
            await idle.wait()
    finally:
        if len(branches.tasks) > 1:
            others = [task for task in branches.tasks if not task.done() and task is not asyncio.current_task()]
        for task in others:
            task.cancel()
    if others:
        await asyncio.wait(others, timeout=overrun_seconds)
    return result


async def _call(run: StepRun) -> StepResult:
    _set_out(run)
    try:
        if run.claim.repeated:
            await durably(run.operations.load)
        async with async_surroundings():
            returned = await run.step.function(cast(Context, run.context), **run.arguments)
    except asyncio.CancelledError:
        if run.context.cancelled:
            raise
        return _cancelled_itself(run)
    except BaseException as error:  # SystemExit, too: asyncio would end the whole loop
        leave_if_child(error)
        return Raised(error)
    leave_if_child()
    run.operations.branches.root.returned = True
    return Returned(returned)


def _set_out(run: StepRun) -> None:
    """Begin in a context that no other step has changed. (A copied context shares what its variables refer to.)"""
    running.set(run)
    claim = run.claim
    place.set(
        Place(
            claim.id,
            claim.step_number,
            claim.run,
            claim.identity,
            claim.session_id,
            claim.agent,
            claim.step,
            claim.traceparent or claim.row["traceparent"],
            claim.row["sensitive"],
        )
    )
    decimal.setcontext(decimal.Context())
    run.operations.branches.enter()
    if run.span is not None:
        run.span.enter()


def _cancelled_itself(run: StepRun) -> StepResult:
    return Raised(StepFailed(f"Step {run.claim.step} cancelled itself"))


def _checked(run: StepRun, result: StepResult) -> StepResult:
    """Return the result, unless the step had no right to one any more."""
    run.returned = True
    if run.stopped_at is not None:
        return Stopped()
    if run.deadline is not None and monotonic() > run.deadline:
        return Raised(run.out_of_time())
    waits = run.operations.waits
    if waits.is_parking and isinstance(result, Raised):
        if is_parked(result.error):
            return Parked(waits.open)
        error = waits.swallowed()
        error.__cause__ = result.error
        return Raised(error)
    if isinstance(result, Returned):
        try:
            run.operations.check_end()
        except Exception as error:
            return Raised(error)
    return result
