"""Running the function of a step: on the event loop or in the slot, with its deadline and its cancellation."""

import asyncio
import contextvars
import decimal
import inspect
from time import monotonic
from typing import Any, cast

from agent_tasks.context import Context
from agent_tasks.errors import InvalidInput, StepFailed
from agent_tasks.surroundings import async_surroundings, plain_surroundings
from workers.run import Raised, Returned, StepOutcome, StepRun, Stopped, running


def invoke_plain(run: StepRun) -> StepOutcome:
    """Call a plain step. Nothing can stop it but itself: it sees `ctx.cancelled`, and the fence refuses its commit.

    Each in a context of its own: what it sets in context variables is gone with it.
    """
    try:
        value = contextvars.copy_context().run(_call_plain, run)
    except BaseException as error:
        return _checked(run, Raised(error))
    if inspect.iscoroutine(value):
        value.close()
        problem = f"Step {run.claim.step} is a plain function and returned a coroutine: declare it as `async def`"
        return _checked(run, Raised(InvalidInput(problem)))
    return _checked(run, Returned(value))


async def invoke_async(run: StepRun, overrun_seconds: float) -> StepOutcome:
    """Await an async step; past its deadline, or when it is told to stop, it is cancelled.

    One that does not end within `overrun_seconds` of that is left behind: its outcome would be refused.
    """
    loop = asyncio.get_running_loop()
    step = loop.create_task(_call(run))
    left_behind: asyncio.Future[None] = loop.create_future()

    def end() -> None:
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
    if not step.done() or step.cancelled():
        return _checked(run, Raised(StepFailed(f"Step {run.claim.step} cancelled itself")))
    return _checked(run, step.result())


def _call_plain(run: StepRun) -> Any:
    _set_out(run)
    with plain_surroundings():
        return run.step.function(run.context, **run.arguments)


async def _call(run: StepRun) -> StepOutcome:
    _set_out(run)
    try:
        async with async_surroundings():
            return Returned(await run.step.function(cast(Context, run.context), **run.arguments))
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # SystemExit, too: asyncio would end the whole loop
        return Raised(error)


def _set_out(run: StepRun) -> None:
    """Begin in a context that no other step has changed. (What a context variable holds, a copy of it shares.)"""
    running.set(run)
    decimal.setcontext(decimal.Context())


def _checked(run: StepRun, outcome: StepOutcome) -> StepOutcome:
    """The outcome, unless the step had no right to one any more."""
    run.returned = True
    if run.stopped_at is not None:
        return Stopped()
    if run.deadline is not None and monotonic() > run.deadline:
        return Raised(run.out_of_time())
    return outcome
