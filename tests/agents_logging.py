"""An agent that logs, and one whose log says nothing to anybody."""

import logging
from typing import Any

from agent_tasks import Context, SyncContext, agent

log = logging.getLogger("acme.drafts")


async def called() -> None:
    log.info("within a call")


@agent("talks")
async def talks(ctx: Context, lines: int) -> Any:
    for number in range(lines):
        log.info("line %d", number)
    await ctx.call(called)
    try:
        raise ValueError("caught")
    except ValueError:
        log.exception("and a traceback")
    log.debug("below the level of the worker")
    return ctx.traceparent


@agent("whispers", sensitive=True)
def whispers(ctx: SyncContext) -> None:
    log.info("a secret")
