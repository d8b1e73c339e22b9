"""Agents that look at what they are given: at first, and when a step is repeated; for the worker of one test."""

from typing import Any

from agent_tasks import Agent, Context, Next, Retry, agent

PRICES = {"widgets": 1, "nuts": 2, "bolt": 3}
NUMBERS = [1e16, 2.0**60, -0.0, 0.1, 10**20]
_ONCE_MORE = Retry(attempts=2, base=0.01)


def quote():
    return PRICES


def measure():
    return NUMBERS


def invoice(item: str) -> str:
    return f"invoice of {item}"


async def all_invoices(ctx: Context, prices: dict[str, int]) -> dict[str, str]:
    made: dict[str, str] = {}
    for item in prices:
        made[item] = await ctx.call(invoice, item)
        if ctx.attempt == 1:
            raise ConnectionError("the first try breaks off here")
    return made


@agent("order-of-outcome", retry=_ONCE_MORE)
async def order_of_outcome(ctx: Context):
    return await all_invoices(ctx, await ctx.call(quote))


order_of_state = Agent("order-of-state")


@order_of_state.step
async def begin(ctx: Context):
    return Next(go_on, prices=PRICES)


@order_of_state.step(retry=_ONCE_MORE)
async def go_on(ctx: Context, prices: dict[str, int]):
    return await all_invoices(ctx, prices)


numbers = Agent("numbers")


@numbers.step
async def begin_numbers(ctx: Context):
    return Next(see_numbers, given=NUMBERS)


@numbers.step(retry=_ONCE_MORE)
async def see_numbers(ctx: Context, given: list[Any]):
    measured = await ctx.call(measure)
    if ctx.attempt == 1:
        raise ConnectionError("the first try breaks off here")
    return [repr(given), repr(measured)]
