"""Tool calls that need an answer from outside, as waits of the step; each answer is bound to exact arguments."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from agent_tasks.authoring.calls.call_identity import digest_of
from agent_tasks.authoring.context import Context

log = logging.getLogger(__name__)
ASKED = "approval_asked"
"""The event that names a tool call that waits for its answer."""
IGNORED = "approval_ignored"
"""The event of an answer that was for none of the calls that wait."""


class Approval(BaseModel):
    """The payload of the signal that answers a tool call.

    `Approval(call=…, approved=True).model_dump()`, or the same as a dict.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    call: str
    """The call that it is for: `call` of the event `approval_asked`, a digest of the tool, its arguments and its id."""
    approved: bool = True
    """Whether the call is made, with these arguments."""
    message: str | None = None
    """What the model is told of a call that was not approved."""
    result: Any = None
    """What the tool returned, where it runs elsewhere."""


@dataclass(frozen=True)
class PendingCall:
    """A tool call that waits for its answer."""

    id: str
    """Its id in the framework."""
    tool: str
    arguments: Any
    runs_elsewhere: bool = False
    """Whether the answer is what the tool returned."""

    @property
    def digest(self) -> str:
        return digest_of((self.id, self.tool, self.arguments), {})


async def answers(
    ctx: Context, pending: Sequence[PendingCall], *, signal: str, timeout: float | timedelta | None
) -> dict[str, Approval]:
    """Wait until each call has its answer; return them by the calls' ids.

    The step is parked meanwhile. Each signal answers one call, and is consumed by that. When `timeout` is over without
    one, those that are left are not approved.
    """
    waiting = {call.digest: call for call in pending}
    await ctx.using(name="ask for approval").call(_ask, ctx, signal, list(waiting.items()))
    found: dict[str, Approval] = {}
    while waiting:
        sent = await ctx.wait(signal, timeout=timeout)
        if sent is None:
            late = Approval(call="", approved=False, message="Nobody answered in time.")
            return found | {call.id: late for call in waiting.values()}
        answer = _read(sent.payload)
        if answer is None or answer.call not in waiting:
            await ctx.using(name="ignore an approval").call(_ignore, ctx, sent.payload)
        else:
            found[waiting.pop(answer.call).id] = answer
    return found


def _read(payload: Any) -> Approval | None:
    try:
        return Approval.model_validate(payload)
    except ValidationError:
        return None


async def _ask(ctx: Context, signal: str, asked: list[tuple[str, PendingCall]]) -> None:
    for digest, call in asked:
        kind = "result" if call.runs_elsewhere else "approval"
        data = {"signal": signal, "call": digest, "kind": kind, "tool": call.tool, "arguments": call.arguments}
        await ctx.emit(ASKED, data)


async def _ignore(ctx: Context, payload: Any) -> None:
    log.warning("answer ignored, no call that waits is of its digest: task=%s step=%s", ctx.task_id, ctx.step)
    await ctx.emit(IGNORED, {"payload": payload})
