"""Charging: what a step says that it has spent is counted once, however often the step runs."""

import asyncio

from agent_tasks.authoring.calls.branches import calls_around
from agent_tasks.authoring.calls.operations import Cancellable, Charge, Given, Operations
from agent_tasks.authoring.calls.spent import Spent
from agent_tasks.authoring.calls.writes import settled


async def charge(context: Cancellable, operations: Operations, spent: Spent) -> None:
    """Count what an async step spent, and return in its turn."""
    given, counted = _charge(operations, spent)
    if given is not None:
        await given.turn()
        given.outcome()
        return
    order = next(operations.branches.clock)
    with operations.turns.writing(order):
        try:
            _, cancelled = await settled(operations.charge, counted, order)
            if cancelled is not None:
                raise cancelled
            await operations.turns.first(order)
        except asyncio.CancelledError:
            if not context.cancelled:
                await settled(operations.cancel_charge, counted.identity)
            raise


def charge_plainly(operations: Operations, spent: Spent) -> None:
    """Count what a plain step spent."""
    given, counted = _charge(operations, spent)
    if given is not None:
        given.outcome()
    else:
        operations.charge(counted, next(operations.branches.clock))


def _charge(operations: Operations, spent: Spent) -> tuple[Given | None, Charge]:
    """Return what came of a charge before, if it is repeated, and else what is to be counted."""
    branches = operations.branches
    within = calls_around(branches.here())
    identity = branches.identify_charge(spent.digest)
    given = operations.find_charge(identity)
    usd = spent.price() if given is None else 0.0
    return given, Charge(identity, spent.tokens, usd, within, spent.model, spent.used)
