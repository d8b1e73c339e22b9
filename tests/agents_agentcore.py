"""Agents that a gateway serves as an AgentCore runtime."""

import asyncio
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from agent_tasks import Agent, Context, Retry, Signal, SyncContext, Wait, agent
from agent_tasks.agentcore import add_async_task, async_task, complete_async_task

QUEUE = "agentcore"
invoked = Agent("invoked", queue=QUEUE)


@invoked.step
async def behave(
    ctx: Context,
    payload: Any = None,
    raises: str | None = None,
    refuses: int | None = None,
    emits: list[Any] | None = None,
    waits: bool = False,
    holds: str = "",
):
    """Do what the invocation says: return its payload, or raise, emit or wait before that."""
    for value in emits or []:
        await ctx.emit("piece", value)
    if raises is not None:
        raise ValueError(raises)
    if refuses is not None:
        raise HTTPException(refuses, "not like this")
    while holds and Path(holds).exists():
        await asyncio.sleep(0.05)
    if waits:
        return Wait("go", then=go_on, payload=payload)
    return payload


@invoked.step
async def go_on(ctx: Context, payload: Any, signal: Signal | None):
    return payload


@agent("job_adder", queue=QUEUE, retry=Retry(attempts=2, base=0))
def add_job(ctx: SyncContext, metadata: dict[str, Any] | None = None, fails: bool = False):
    """Begin a job that goes on when the step has ended; of a step that fails, in its first try and in its second."""
    job = add_async_task("a job", metadata)
    if fails and ctx.attempt == 1:
        raise ConnectionError("try again")
    return job


@agent("job_ender", queue=QUEUE)
async def end_job(ctx: Context, job: int):
    return complete_async_task(job)


@agent("job_runner", queue=QUEUE)
async def run_job(ctx: Context, folder: str):
    """Run a job for as long as a file is there."""

    @async_task
    async def until_gone() -> str:
        while Path(folder, "busy").exists():
            await asyncio.sleep(0.05)
        return "done"

    return await until_gone()
