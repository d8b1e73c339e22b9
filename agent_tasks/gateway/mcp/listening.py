"""subscriptions/listen: whoever listens is told of each change of its tasks, as polling would have told."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Literal

import anyio
from mcp import types
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from pydantic import Field

from agent_tasks import metrics
from agent_tasks.client.following import is_set_within
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import AgentTaskError, InvalidInput, TaskNotFound
from agent_tasks.gateway.answers import etag
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.mcp.capabilities import knows_tasks, lacks_tasks
from agent_tasks.gateway.mcp.methods import MOST_TASKS
from agent_tasks.gateway.mcp.passage import Context, Passage
from agent_tasks.gateway.mcp.shown import ShownTask
from agent_tasks.gateway.patience import looks_until_end
from agent_tasks.gateway.stages.route import find
from agent_tasks.store.errors import Transient
from agent_tasks.task.snapshot import TaskSnapshot

log = logging.getLogger(__name__)


class ListenFilter(types.SubscriptionFilter):
    """What is listened for. Of the kinds of the core protocol there is nothing to tell: they are not agreed to."""

    task_ids: list[str] | None = Field(alias="taskIds", default=None)


class ListenParams(types.RequestParams):
    """What is listened for."""

    notifications: ListenFilter


class _Acknowledged(types.Notification[dict[str, Any], Literal["notifications/subscriptions/acknowledged"]]):
    method: Literal["notifications/subscriptions/acknowledged"] = "notifications/subscriptions/acknowledged"
    params: dict[str, Any]


class _Changed(types.Notification[dict[str, Any], Literal["notifications/tasks"]]):
    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: dict[str, Any]


class Listening:
    """Streams that tell of tasks until these have ended, or until the gateway goes. None of them is kept anywhere."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    async def listen(self, ctx: Context, params: ListenParams) -> dict[str, Any]:
        """Tell of each task as it stands, and then at each change. Raises MCPError for a client that knows no tasks."""
        asked = params.notifications.task_ids
        if asked and not knows_tasks(ctx):
            raise lacks_tasks()
        if asked and len(asked) > MOST_TASKS:
            raise InvalidInput(f"taskIds names {len(asked):,} tasks; the most are {MOST_TASKS}.", field="taskIds")
        tasks = await self._passage.perform(ctx, lambda gate, caller: _visible(gate, caller, asked or []))
        meta = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        agreed = {"taskIds": [str(task.id) for task in tasks]} if asked else {}
        await self._send(ctx, _Acknowledged(params={"_meta": meta, "notifications": agreed}))
        followers = [asyncio.ensure_future(self._follow(ctx, task, meta)) for task in tasks]
        over = asyncio.ensure_future(self._over(ctx))
        ends = asyncio.gather(*followers) if followers else over
        try:
            with metrics.GATEWAY_STREAMS.track_inprogress():
                await asyncio.wait({ends, over}, return_when=asyncio.FIRST_COMPLETED)
            if ends.done():
                ends.result()
        finally:
            for each in (over, *followers):
                each.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(over, ends, *followers, return_exceptions=True)
        return {"resultType": "complete", "_meta": meta}

    async def _over(self, ctx: Context) -> None:
        """Return when the gateway goes, or the token that opened the stream is none any more."""
        gate = self._passage.gate
        while not await is_set_within(gate.closing, gate.settings.gateway_keep_alive_seconds):
            try:
                await self._passage.verify(ctx)
            except AgentTaskError as error:
                log.info("stream of tasks ended: %s", error)
                return
            except Transient as error:
                log.warning("token of a stream of tasks not verified until Postgres is back: %s", error)

    async def _follow(self, ctx: Context, task: TaskHandle, meta: dict[str, Any]) -> None:
        """Tell of one task until its end, each time that it is not as it was told."""
        told: str | None = None
        gate = self._passage.gate
        try:
            async with aclosing(looks_until_end(gate, task)) as looks:
                async for seen in looks:
                    if told == (version := etag(seen)):
                        continue  # nothing has changed that can be seen
                    shown = await gate.in_thread(_shown, seen)
                    told = version
                    await self._send(ctx, _Changed(params={**shown, "_meta": meta}))
        except (AgentTaskError, Transient):
            return  # it was deleted: who polls is told so

    @staticmethod
    async def _send(ctx: Context, notification: Any) -> None:
        await ctx.session.send_notification(notification, related_request_id=ctx.request_id)


def _visible(gate: Gate, caller: Caller, ids: Sequence[str]) -> list[TaskHandle]:
    """The tasks among these that the caller may see; of the others nothing is agreed to."""
    found: list[TaskHandle] = []
    for id in dict.fromkeys(ids):
        try:
            task = find(gate, caller, id)
            task.read()
        except TaskNotFound:
            continue
        found.append(task)
    return found


def _shown(gate: Gate, seen: TaskSnapshot) -> dict[str, Any]:
    return ShownTask(gate.client, seen).detailed
