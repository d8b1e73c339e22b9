"""A request to a model as one recorded call: its answer is kept, whatever becomes of what it costs."""

from collections.abc import Awaitable, Callable
from typing import Any

from agent_tasks.authoring.context import Context
from agent_tasks.errors import BudgetExhausted, InvalidInput

Charge = Callable[[Any], Awaitable[None]]
"""Counts what an answer used. Raises InvalidInput or Unpriced where its price is not known, BudgetExhausted above the
limit."""


class Unpriced(Exception):
    """Raised from the error, whatever it is, for which what an answer cost could not be said."""


def priced(price: Callable[[], float]) -> float:
    """Return what `price` returns. Raises InvalidInput as it does, and Unpriced from all else."""
    try:
        return price()
    except InvalidInput:
        raise
    except Exception as error:
        raise Unpriced from error


async def request(ctx: Context, name: str, body: Callable[[], Awaitable[Any]], charge: Charge, **options: Any) -> Any:
    """Return the answer of `body`, JSON, which is asked for and charged once.

    The answer is recorded before anything that is wrong with its cost is raised: a task that resumes this one, with a
    larger budget or a known price, has it for nothing.
    """

    async def ask() -> Any:
        answer = await body()
        try:
            await charge(answer)
        except BudgetExhausted as error:
            return [answer, True, {each: error.details[each] for each in ("resource", "limit", "spent")}]
        except (InvalidInput, Unpriced):  # raised anew below, where the answer is recorded
            return [answer, False, None]
        return [answer, True, None]

    ask.__name__ = ask.__qualname__ = name
    answer, is_counted, passed = await ctx.using(name=name, **options).call(ask)
    if not is_counted:
        try:
            await charge(answer)
        except Unpriced as error:
            raise error.__cause__ or error from None
    elif passed is not None and getattr(ctx.budget, passed["resource"]) == 0:  # not so in a task that resumes it
        raise BudgetExhausted.of(**passed)
    return answer
