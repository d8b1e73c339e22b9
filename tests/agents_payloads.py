"""Agents that look at what they are given: at first, and when a step is repeated; for the worker of one test."""

from typing import Any
from uuid import uuid4

from pydantic import AliasChoices, BaseModel, Field, SecretStr

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


class Stamped(BaseModel):
    q: str
    number: str = Field(default_factory=lambda: uuid4().hex)


@agent("tagged")
async def tagged(ctx: Context, tags: set[str]):
    return sorted(tags)


@agent("stamped", retry=_ONCE_MORE)
async def stamped(ctx: Context, request: Stamped):
    if ctx.attempt == 1:
        await ctx.emit("seen", request.number)
        raise ConnectionError("the first try breaks off here")
    return request.number


class Order(BaseModel, populate_by_name=True):  # which pydantic before 2.11 needs for `line`
    number: int = Field(alias="orderNumber")
    line: int = Field(default=0, validation_alias=AliasChoices("orderLine", "line_no"))


def place_order(number: int) -> Order:
    return Order.model_validate({"orderNumber": number, "orderLine": 2})


aliased = Agent("aliased")


@aliased.step
async def begin_order(ctx: Context, order: Order):
    return Next(end_order, order=order, placed=await ctx.call(place_order, 8))


@aliased.step(retry=_ONCE_MORE)
async def end_order(ctx: Context, order: Order, placed: Order):
    again = await ctx.call(place_order, 9)
    if ctx.attempt == 1:
        raise ConnectionError("the first try breaks off here")
    return [[o.number, o.line] for o in (order, placed, again)]


def fetch_token() -> SecretStr:
    return SecretStr("hunter2")


@agent("masked-outcome")
async def masked_outcome(ctx: Context):
    await ctx.call(fetch_token)


class Message(BaseModel):
    text: str


class ToolMessage(Message):
    tool: str


chat = Agent("lost-field")


@chat.step
async def ask(ctx: Context):
    return Next(reply, messages=[ToolMessage(text="6 x 7", tool="calculator")])


@chat.step
async def reply(ctx: Context, messages: list[Message]):
    return len(messages)
