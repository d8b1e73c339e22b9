"""Agents whose steps start processes of their own."""

import multiprocessing
import os
import sys
import time
from typing import Any

from agent_tasks import Context, Next, SyncContext, agent
from tests.agents import note


def child(ctx: Any, folder: str, how: str) -> Any:
    """What a forked child does: it ends as `how` says, or comes back as if it were the step."""
    note(folder, f"child {how}")
    if how == "charges":
        ctx.charge(tokens=1000)
    if how == "exits":
        sys.exit(0)
    if how == "exits with 3":
        sys.exit(3)
    if how == "raises":
        raise RuntimeError("of the child")
    return "the child's"


def status_of(pid: int) -> int:
    """The exit status of a child; -1 where it does not end."""
    for _ in range(500):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return -1


@agent("forks")
def forks(ctx: SyncContext, folder: str, how: str):
    pid = os.fork()
    return child(ctx, folder, how) if pid == 0 else status_of(pid)


@agent("forks_async")
async def forks_async(ctx: Context, folder: str, how: str):
    pid = os.fork()
    return child(ctx, folder, how) if pid == 0 else status_of(pid)


def fork_in_call(ctx: Any, folder: str, how: str) -> Any:
    pid = os.fork()
    return child(ctx, folder, how) if pid == 0 else status_of(pid)


@agent("forks_in_call")
def forks_in_call(ctx: SyncContext, folder: str, how: str):
    return ctx.call(fork_in_call, ctx, folder, how)


@agent("forks_in_call_async")
async def forks_in_call_async(ctx: Context, folder: str, how: str):
    return await ctx.call(fork_in_call, ctx, folder, how)


@agent("starts_processes")
def starts_processes(ctx: SyncContext, method: str):
    """Whether a process of this kind ends when it is told to, and computes."""
    kind: Any = multiprocessing.get_context(method)
    process = kind.Process(target=time.sleep, args=(60,), daemon=True)
    process.start()
    time.sleep(0.2)
    process.terminate()
    process.join(5)
    alive = process.is_alive()
    process.kill()
    with kind.Pool(1) as pool:
        return [alive, pool.map(abs, [-1, 2])]


@agent("hops_after_fork")
def hops_after_fork(ctx: SyncContext, to: int, n: int = 0):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    status_of(pid)
    return n if n >= to else Next("hops_after_fork", to=to, n=n + 1)
