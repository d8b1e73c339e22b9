"""Sensitive agents that fail in every way, each time with words that nobody may see."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

from celery import signals
from pydantic import AfterValidator, BaseModel

from agent_tasks import Agent, Child, Context, ContextLost, FanOut, Next, Retry, Signal, SyncContext, Wait, agent

HEARD = "TEST_HEARD"


@signals.task_failure.connect(weak=False)
def write_down(exception: Any = None, traceback: Any = None, einfo: Any = None, **_: Any) -> None:
    """With the variables of each frame, as error trackers take them along."""
    frames: list[str] = []
    while traceback is not None:
        frames.append(repr(traceback.tb_frame.f_locals))
        traceback = traceback.tb_next
    if HEARD in os.environ:
        with Path(os.environ[HEARD]).open("a") as file:
            file.write(json.dumps([repr(exception), str(einfo), frames]) + "\n")


def refused_by_workers(value: str) -> str:
    """Valid where it is submitted, and not where it runs."""
    if HEARD in os.environ:
        raise ValueError(f"{value} is no value")
    return value


class Answer(BaseModel):
    text: Annotated[str, AfterValidator(refused_by_workers)]


def say(secret: str) -> str:
    raise ValueError(f"{secret} is wrong")


async def take_back(ctx: Context, secret: str) -> None:
    raise ContextLost(f"{secret} cannot be taken back")


hides = Agent("hides_all", sensitive=True)


@hides.step(undo=take_back)
async def begin(ctx: Context, secret: str, how: str):
    return Next(go_on, secret=secret, how=how)


@hides.step(retry=Retry(attempts=2, base=0.01))
def go_on(ctx: SyncContext, secret: str, how: str):
    if how == "call":
        return ctx.call(say, secret)
    if how == "next":
        return Next(never, secret=secret)
    if how == "wait":
        return Wait("answer", then=answered, timeout=0.5, secret=secret)
    return say(secret)


@hides.step
def never(ctx: SyncContext, secret: Annotated[str, AfterValidator(refused_by_workers)]): ...


@hides.step
def answered(ctx: SyncContext, secret: str, signal: Signal[Answer] | None):
    return say(secret)


@agent("hides_input", sensitive=True)
async def hides_input(ctx: Context, secret: Annotated[str, AfterValidator(refused_by_workers)]): ...


@agent("hides_failure", sensitive=True)
async def hides_failure(ctx: Context, secret: str):
    return say(secret)


parent = Agent("tells_of_children")


@parent.step
async def spawn(ctx: Context, secret: str):
    return FanOut([Child("hides_failure", {"secret": secret})], then=spawn, on_child_failure="fail", secret="")
