"""Agents whose steps do nothing, so that what is measured is the system."""

import asyncio
import time

from pydantic import BaseModel

from agent_tasks import Agent, Child, Context, Done, FanOut, Next, Signal, Sleep, SyncContext, Wait

loop = Agent("loop")


@loop.step
def spin(ctx: SyncContext, steps: int):
    return Done(steps) if steps <= 1 else Next(spin, steps=steps - 1)


clock = Agent("clock")


@clock.step
async def tell(ctx: Context):
    return time.time()


relay = Agent("relay")


@relay.step
def hand(ctx: SyncContext):
    return Next(take, ended=time.time())


@relay.step
def take(ctx: SyncContext, ended: float):
    return time.time() - ended


relay_async = Agent("relay_async")


@relay_async.step
async def hand_async(ctx: Context):
    return Next(take_async, ended=time.time())


@relay_async.step
async def take_async(ctx: Context, ended: float):
    return time.time() - ended


carry = Agent("carry")


@carry.step
def lift(ctx: SyncContext, steps: int, load: str):
    return Done(steps) if steps <= 1 else Next(lift, steps=steps - 1, load=load)


gate = Agent("gate")


@gate.step
async def park(ctx: Context):
    return Wait("open", then=passed)


@gate.step
async def passed(ctx: Context, signal: Signal | None):
    return time.time()


straight_gate = Agent("straight_gate")


@straight_gate.step
async def passes(ctx: Context):
    """As `gate`, in one step."""
    await ctx.wait("open")
    return time.time()


straight_loop = Agent("straight_loop")


@straight_loop.step
async def go_round(ctx: Context, rounds: int):
    """A recorded call and a wait, again and again."""
    answers: list[int] = []
    for number in range(rounds):
        answers.append(await ctx.call(same, number))
        await ctx.wait("open")
    return answers


async def same(number: int) -> int:
    return number


alarm = Agent("alarm")


@alarm.step
async def set_alarm(ctx: Context, seconds: float):
    return Sleep(seconds, then=ring)


@alarm.step
async def ring(ctx: Context):
    return time.time()


hold = Agent("hold")


@hold.step
async def ask(ctx: Context, port: int):
    """Waits for the answer of a server, as for a model's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{ctx.task_id}\n".encode())
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()


herald = Agent("herald")


@herald.step
async def say(ctx: Context, events: int, pause: float):
    """Emits the time, again and again."""
    for _ in range(events):
        await asyncio.sleep(pause)
        await ctx.emit("said", time.time())


pause = Agent("pause")


@pause.step
async def call_once(ctx: Context, seconds: float):
    await ctx.call(asyncio.sleep, seconds)
    return seconds


leaf = Agent("leaf", queue="leaves")


@leaf.step
async def grow(ctx: Context):
    return None


branch = Agent("branch")


@branch.step
async def sprout(ctx: Context, count: int):
    return FanOut([Child("leaf", {})] * count, then=gather, spawned=time.time())


@branch.step
async def gather(ctx: Context, spawned: float):
    return spawned


at_work = Agent("at_work")


@at_work.step
async def work(ctx: Context, rounds: int):
    await ctx.call(asyncio.sleep, 1)
    return Done(rounds) if rounds <= 1 else Next(work, rounds=rounds - 1)


postcard = Agent("postcard")


@postcard.step
async def write(ctx: Context, to: str, copies: int):
    return Wait("stamped", then=send, to=to, copies=copies)


@postcard.step
async def send(ctx: Context, to: str, copies: int, signal: Signal | None):
    return to


class Address(BaseModel):
    """An address, as a state has it."""

    street: str
    number: int


letter = Agent("letter")


@letter.step(name="write")
async def write_letter(ctx: Context, to: Address, copies: int):
    return Wait("stamped", then="send", to=to, copies=copies)


@letter.step(name="send")
async def send_letter(ctx: Context, to: Address, copies: int, signal: Signal | None):
    return to.street
