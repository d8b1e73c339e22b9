"""Agents that ask somebody outside, by a URL."""

import datetime
import enum
from typing import Any, Literal

from pydantic import BaseModel, Field

from agent_tasks import Agent, Context, Next, Signal, SyncContext, Wait
from tests.agents import note

mailing = Agent("mailing", signals=["approval"], goal="Publishes what somebody has approved.")
"""mail → mailed, with an approval by a link in a mail."""


class Verdict(BaseModel):
    """Shall the text about the tides be published?

    It was drafted today."""

    ok: bool = Field(title="Publish it")
    remark: str | None = Field(default=None, max_length=80, description="Your words to the author.")


def send_mail(folder: str, url: str) -> str:
    note(folder, f"mail {url}")
    return url


@mailing.step
async def mail(ctx: Context, folder: str, expires: float | None = None, once: bool = True, wait: float | None = None):
    url = await ctx.hook("approval", expires=expires, once=once)
    await ctx.call(send_mail, folder, url)
    return Wait("approval", then=mailed, timeout=wait, folder=folder, url=url)


@mailing.step
async def mailed(ctx: Context, folder: str, url: str, signal: Signal[Verdict] | None):
    return None if signal is None or signal.payload is None else signal.payload.model_dump()


signed = Agent("signed")
"""A plain step whose hook takes what is signed."""


@signed.step
def ask_signed(ctx: SyncContext, folder: str, verify: str = "standard-webhooks"):
    note(folder, f"mail {ctx.hook('paid', verify=verify)}")
    return Wait("paid", then="paid")


@signed.step(name="paid")
def paid(ctx: SyncContext, signal: Signal | None):
    return None if signal is None else [signal.payload, signal.signal_id, signal.sender]


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    CYAN = "cyan"
    PINK = "pink"
    GREY = "grey"


class Address(BaseModel):
    street: str
    number: int


class Everything(BaseModel):
    """A question of every kind."""

    text: str = Field(description="As long as you like.")
    line: str = Field(max_length=20)
    whole: int = Field(ge=1, le=100)
    number: float
    sure: bool
    size: Literal["small", "large"]
    colour: Colour
    day: datetime.date
    at: datetime.time
    moment: datetime.datetime
    address: Address
    tags: list[str] = []
    maybe: bool | None = None
    note: str | None = None
    count: int = 3
    code: int | str = "none"


asking = Agent("asking")
"""A form of everything."""


@asking.step
async def ask_all(ctx: Context, folder: str, what: str = "everything"):
    note(folder, f"mail {await ctx.hook('details')}")
    return Wait("details", then="told" if what == "everything" else what)


@asking.step
async def told(ctx: Context, signal: Signal[Everything]):
    return signal.payload and signal.payload.model_dump(mode="json")


@asking.step
async def anything(ctx: Context, signal: Signal):
    return signal.payload


@asking.step
async def yes_or_no(ctx: Context, signal: Signal[bool]):
    return signal.payload


looping = Agent("looping")
"""A loop that takes any number of messages at one URL, until one is `stop`."""


@looping.step
async def begin(ctx: Context, folder: str):
    note(folder, f"mail {await ctx.hook('message', once=False)}")
    return Next(listen, heard=[])


@looping.step
async def listen(ctx: Context, heard: list[Any]):
    return Wait("message", then=hear, heard=heard)


@looping.step
async def hear(ctx: Context, heard: list[Any], signal: Signal):
    heard = [*heard, signal.payload]
    return heard if signal.payload == "stop" else Next(listen, heard=heard)
