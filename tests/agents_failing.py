"""Agents that fail in known ways, in a worker that writes down what Celery's failure signal tells."""

import json
import os
from pathlib import Path
from typing import Any

from celery import signals

from agent_tasks import Context, InvalidInput, Retry, SyncContext, agent

HEARD = "FAILURES_HEARD"


@signals.task_failure.connect(weak=False)
def write_down(sender: Any = None, task_id: str = "", exception: Any = None, einfo: Any = None, **_: Any) -> None:
    heard = {"sender": sender.name, "task_id": task_id, "exception": repr(exception), "traceback": str(einfo)}
    with Path(os.environ[HEARD]).open("a") as file:
        file.write(json.dumps(heard) + "\n")


def deep_down(secret: str) -> float:
    return len(secret) / 0 if secret == "zero" else float(secret)


@agent("divides")
async def divides(ctx: Context, secret: str = "zero"):
    return deep_down(secret)


@agent("divides-plainly")
def divides_plainly(ctx: SyncContext, secret: str = "zero"):
    return deep_down(secret)


@agent("hides", sensitive=True)
async def hides(ctx: Context, secret: str):
    return deep_down(secret)


@agent("refuses")
async def refuses(ctx: Context):
    raise InvalidInput("not this one", field="it")


@agent("recovers", retry=Retry(attempts=2, base=0.01))
async def recovers(ctx: Context):
    if ctx.attempt == 1:
        raise ConnectionError("once")
    return "well"
