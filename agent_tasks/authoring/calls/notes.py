"""What varies from run to run, recorded as calls are: the time, a random number, a new id."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any, NoReturn
from uuid import UUID, uuid4

from agent_tasks.authoring.calls.call_identity import digest_of, name_of
from agent_tasks.authoring.calls.operations import Call, CallOptions, Cancellable, Operations
from agent_tasks.authoring.calls.writes import settled

_OPTIONS = CallOptions()


def now() -> datetime:
    return datetime.now(UTC)


def random() -> float:
    return SystemRandom().random()


def uuid() -> UUID:
    return uuid4()


async def note(context: Cancellable, operations: Operations, made: Callable[[], Any]) -> Any:
    """Return the value that `made` returned when an async step first came here."""
    call = _call(operations, made)
    if (given := operations.find(call)) is not None:
        await given.turn()
        return given.outcome()
    return await _noted(context, operations, call, made())


async def _noted(context: Cancellable, operations: Operations, call: Call, seen: Any) -> Any:
    order = next(operations.branches.clock)
    with operations.turns.writing(order):
        (value, intent), cancelled = await settled(operations.note, call, seen, order)
        if cancelled is not None:
            if not context.cancelled:
                await settled(operations.cancel_call, intent)
            raise cancelled
        await operations.turns.first(order)
    return value


async def observe(
    context: Cancellable, operations: Operations, name: str, look: Callable[[], Awaitable[tuple[Any, bool]]]
) -> Any:
    """Return what an async step sees outside, each time that it comes here: what `look` returned when it first did.

    It is no call of the budget. `look` also says whether the step goes on from there and so needs it again; what it
    ends with is its result, and kept as that. Raises what `look` raises, which is then asked again.
    """
    branch, identity = operations.branches.identify(name, digest_of((), {}), None)
    call = Call(_seen, identity, branch, _OPTIONS)
    if (given := operations.find(call)) is not None:
        await given.turn()
        return given.outcome()
    value, goes_on = await look()
    return await _noted(context, operations, call, value) if goes_on else value


def _seen() -> Any: ...


async def fail(context: Cancellable, operations: Operations, call: Call, error: BaseException) -> NoReturn:
    """Record that an async step is given this error, which no call of the budget has raised, and raise it."""
    order = next(operations.branches.clock)
    with operations.turns.writing(order):
        intent, cancelled = await settled(operations.note_failure, call, error, order)
        if cancelled is not None:
            if not context.cancelled:
                await settled(operations.cancel_call, intent)
            raise cancelled
        await operations.turns.first(order)
    raise error


def fail_plainly(operations: Operations, call: Call, error: BaseException) -> NoReturn:
    """Record that a plain step is given this error, and raise it."""
    operations.note_failure(call, error, next(operations.branches.clock))
    raise error


def note_plainly(operations: Operations, made: Callable[[], Any]) -> Any:
    """Return the value that `made` returned when a plain step first came here."""
    call = _call(operations, made)
    if (given := operations.find(call)) is not None:
        return given.outcome()
    return operations.note(call, made(), next(operations.branches.clock))[0]


def _call(operations: Operations, made: Callable[[], Any]) -> Call:
    branch, identity = operations.branches.identify(f"ctx.{name_of(made)}", digest_of((), {}), None)
    return Call(made, identity, branch, _OPTIONS)
