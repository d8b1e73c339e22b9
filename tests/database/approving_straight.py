"""A step that waits for an approval between two calls, of both kinds."""

from datetime import timedelta
from typing import Any

import pytest

from agent_tasks import Context, SyncContext
from tests.database.courses import make


async def approve(ctx: Context) -> Any:
    await ctx.call(make, "draft")
    signal = await ctx.wait("approval", timeout=60)
    await ctx.call(make, "publish")
    return signal.payload if signal else None


def approve_plainly(ctx: SyncContext) -> Any:
    ctx.call(make, "draft")
    signal = ctx.wait("approval", timeout=timedelta(minutes=1))
    ctx.call(make, "publish")
    return signal.payload if signal else None


both = pytest.mark.parametrize("step", [approve, approve_plainly])
