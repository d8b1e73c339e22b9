"""Agents with one durability bug each, and healthy ones: what `crash_everywhere` is to find, and to leave alone."""

import asyncio
import contextlib
import datetime
import os
import random
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from agent_tasks import Agent, Child, ChildOutcome, Context, Done, FanOut, Next, Retry, Signal, SyncContext, Wait, agent

OUTBOX: list[str] = []
COUNT = 0
CACHE: dict[str, str] = {}
FOLDER = Path(tempfile.gettempdir(), "agent-tasks-planted")


def look_up(what: str) -> str:
    return f"about {what}"


def mail(text: str) -> str:
    OUTBOX.append(text)
    return "sent"


def write_file(text: str) -> int:
    with FOLDER.open("a") as file:
        return file.write(text)


@agent("planted-call-outside")
async def call_outside(ctx: Context, topic: str) -> str:
    text = await ctx.call(look_up, topic)
    mail(text)
    return text


@agent("planted-known-call-outside")
async def known_call_outside(ctx: Context, topic: str) -> list[str]:
    return [await ctx.call(look_up, topic), look_up(topic)]


@agent("planted-time")
async def time_outside(ctx: Context, topic: str) -> dict[str, Any]:
    return {"at": time.time(), "text": await ctx.call(look_up, topic)}


@agent("planted-date")
async def date_outside(ctx: Context, topic: str) -> str:
    return await ctx.call(look_up, f"{topic} on {datetime.date.today()}")


@agent("planted-set-order")
async def set_order(ctx: Context, words: str) -> list[str]:
    return [await ctx.call(look_up, word) for word in set(words.split())]


@agent("planted-key")
async def key_that_changes(ctx: Context, topic: str) -> str:
    return await ctx.using(key=f"{topic} {object()!r}").call(look_up, topic)


@agent("planted-finally")
async def effect_in_finally(ctx: Context, topic: str) -> str:
    try:
        return await ctx.call(look_up, topic)
    finally:
        write_file("released\n")


@agent("planted-random")
async def random_outside(ctx: Context, topic: str) -> str:
    return await ctx.call(look_up, f"{topic} {random.randint(1, 3)}")


@agent("planted-uuid")
def uuid_outside(ctx: SyncContext, topic: str) -> str:
    return ctx.call(look_up, f"{topic} {uuid.uuid4()}")


@agent("planted-global")
async def global_state(ctx: Context, topic: str) -> list[Any]:
    global COUNT
    COUNT += 1
    return [await ctx.call(look_up, topic), COUNT]


@agent("planted-default")
async def mutable_default(ctx: Context, topic: str) -> int:
    return _remember(await ctx.call(look_up, topic))


def _remember(text: str, seen: list[str] = []) -> int:  # noqa: B006 (it is the bug)
    seen.append(text)
    return len(seen)


def sort_in_place(words: list[str]) -> int:
    words.sort()
    return len(words)


@agent("planted-mutated-input")
async def mutated_input(ctx: Context, words: str) -> list[str]:
    given = words.split()
    await ctx.call(sort_in_place, given)
    return [await ctx.call(look_up, word) for word in given]


@agent("planted-thread")
def effect_of_a_thread(ctx: SyncContext, topic: str) -> str:
    text = ctx.call(look_up, topic)
    thread = threading.Thread(target=write_file, args=(text,))
    thread.start()
    thread.join()
    return text


@agent("planted-environment")
async def environment_read(ctx: Context, topic: str) -> str:
    return await ctx.call(look_up, f"{topic} in {os.environ.get('PLANTED_REGION', 'nowhere')}")


class Word:
    def __init__(self, text: str) -> None:
        self.text = text


@agent("planted-id-order")
def order_by_id(ctx: SyncContext, words: str) -> list[str]:
    return [ctx.call(look_up, word.text) for word in sorted(map(Word, words.split()), key=id)]


@agent("planted-swallowed", signals=["go"])
async def swallowed_exception(ctx: Context, topic: str) -> str:
    with contextlib.suppress(BaseException):
        await ctx.wait("go")
    return await ctx.call(look_up, topic)


@agent("planted-before")
async def effect_before_the_call(ctx: Context, topic: str) -> str:
    FOLDER.write_text(topic)
    return await ctx.call(look_up, topic)


@agent("planted-retried")
async def retried_call(ctx: Context, topic: str) -> str:
    return await ctx.using(retry=Retry(attempts=3)).call(mail, topic)


@agent("planted-file-call")
def call_without_a_key(ctx: SyncContext, topic: str) -> int:
    return ctx.call(write_file, topic)


@agent("planted-cache")
async def cache_that_decides(ctx: Context, topic: str) -> str:
    if topic not in CACHE:
        CACHE[topic] = await ctx.call(look_up, topic)
    return CACHE[topic]


@agent("planted-socket")
async def connects_outside(ctx: Context, topic: str) -> str:
    text = await ctx.call(look_up, topic)
    with contextlib.suppress(OSError):
        (await asyncio.open_unix_connection("/nowhere/at/all"))[1].close()
    return text


@agent("planted-process")
def starts_a_process(ctx: SyncContext, topic: str) -> str:
    os.system("true")
    return ctx.call(look_up, topic)


PLANTED = [
    "planted-call-outside",
    "planted-known-call-outside",
    "planted-time",
    "planted-date",
    "planted-set-order",
    "planted-key",
    "planted-finally",
    "planted-random",
    "planted-uuid",
    "planted-global",
    "planted-default",
    "planted-mutated-input",
    "planted-thread",
    "planted-environment",
    "planted-id-order",
    "planted-swallowed",
    "planted-before",
    "planted-retried",
    "planted-file-call",
    "planted-cache",
    "planted-socket",
    "planted-process",
]

healthy = Agent("planted-none")


def pay(ctx_key: str) -> str:
    OUTBOX.append(ctx_key)
    return "paid"


@healthy.step
async def begin(ctx: Context, topic: str) -> FanOut:
    said = await asyncio.gather(*(ctx.call(look_up, f"{topic} {n}") for n in range(2)))
    at, number = await ctx.now(), await ctx.random()
    return FanOut(
        [Child("planted-none-child", {"topic": s}) for s in said], then=join, at=at.isoformat(), number=number
    )


@healthy.step
async def join(ctx: Context, at: str, number: float, children: list[ChildOutcome]) -> Wait:
    texts = sorted(child.result for child in children)
    await ctx.using(key="mail").call(mail, texts[0])
    return Wait("approval", then=close, texts=texts, at=at, number=number)


@healthy.step
async def close(ctx: Context, texts: list[str], at: str, number: float, signal: Signal | None) -> Next:
    await ctx.call(pay, texts[0], at_most_once=True)
    await ctx.sleep(3600)
    return Next(last, texts=texts, at=at, number=number)


@healthy.step
def last(ctx: SyncContext, texts: list[str], at: str, number: float) -> Done:
    return Done({"texts": texts, "at": at, "number": number, "id": str(ctx.task_id), "key": ctx.call(keyed)})


def keyed() -> str:
    return "a"


@agent("planted-none-child")
async def child(ctx: Context, topic: str) -> str:
    await ctx.charge(tokens=5)
    return await ctx.call(look_up, topic)
