"""Tool calls that need an answer from outside, as waits of the step; each answer is bound to exact arguments."""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ConfigDict, ValidationError

from agent_tasks.authoring.calls import notes
from agent_tasks.authoring.calls.call_identity import digest_of
from agent_tasks.authoring.context import Context
from agent_tasks.authoring.handed import Signal

log = logging.getLogger(__name__)
ASKED = "approval_asked"
"""The event that names a tool call that waits for its answer."""
IGNORED = "approval_ignored"
"""The event of an answer that was for none of the calls that wait."""
_MOST_SHOWN = 1_000
"""Characters of an ignored answer that its event has."""
_SOON = timedelta(milliseconds=1)


class Approval(BaseModel):
    """The payload of the signal that answers a tool call.

    `Approval(call=…, approved=True).model_dump()`, or the same as a dict.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    call: str
    """The call that it is for: `call` of the event `approval_asked`, a digest of the tool, its arguments and its id."""
    approved: bool | None = None
    """Whether the call is made, with these arguments; may be left out only where the tool runs elsewhere."""
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


class _Asking:
    """One run of an agent that waits for the answers to its calls."""

    def __init__(
        self, pending: Sequence[PendingCall], timeout: float | timedelta | None, began: datetime | None
    ) -> None:
        self.waiting = {call.digest: call for call in pending}
        self._timeout = timeout
        self._now = self._since = began
        self.found: dict[str, Approval] = {}
        self._wait: asyncio.Task[Signal[Any] | None] | None = None
        self._is_woken = False

    def take(self, answer: Approval, at: datetime) -> None:
        """Take an answer to one of these calls, and end the wait for it, if that still goes on."""
        self.found[self.waiting.pop(answer.call).id] = answer
        self._now = self._since = at
        if self._wait is not None:
            self._is_woken = True
            self._wait.cancel()

    async def next(self, ctx: Context, signal: str) -> Signal[Any] | Approval | None:
        """Return the next signal, None after the timeout, or the answer that another run of the step was given."""
        self._is_woken = False
        before = len(self.found)
        self._wait = asyncio.create_task(ctx.wait(signal, timeout=self._left()))
        try:
            sent = await self._wait
            if sent is not None:
                self._now = sent.sent_at
            return sent
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._is_woken or (task is not None and task.cancelling()):
                raise
            return list(self.found.values())[before]
        finally:
            self._wait = None

    def _left(self) -> float | timedelta | None:
        """How long to wait for the next answer: the time goes on where one was ignored."""
        if self._timeout is None or self._now is None or self._since is None or self._now == self._since:
            return self._timeout
        whole = self._timeout if isinstance(self._timeout, timedelta) else timedelta(seconds=self._timeout)
        return max(whole - (self._now - self._since), _SOON)


_asking: WeakKeyDictionary[Context, dict[str, list[_Asking]]] = WeakKeyDictionary()
"""The runs of each step that wait at this moment, by the signals' names."""


async def answers(
    ctx: Context, pending: Sequence[PendingCall], *, signal: str, timeout: float | timedelta | None
) -> dict[str, Approval]:
    """Wait until each call has its answer; return them by the calls' ids.

    The step is parked meanwhile. Each signal answers one call, and is consumed by that, whichever run of the step is
    given it. When `timeout` is over since the last one that was for a call, those that are left are not approved.
    """
    mine = _Asking(pending, timeout, None if timeout is None else await ctx.now())
    all_of_step = _asking.setdefault(ctx, {}).setdefault(signal, [])
    all_of_step.append(mine)
    try:
        await ctx.using(name="ask for approval").call(_ask, ctx, signal, list(mine.waiting.items()))
        while mine.waiting:
            sent = await mine.next(ctx, signal)
            if sent is None:
                late = Approval(call="", approved=False, message="Nobody answered in time.")
                return mine.found | {call.id: late for call in mine.waiting.values()}
            if isinstance(sent, Signal):
                await _hand_out(ctx, sent, all_of_step)
        return mine.found
    finally:
        all_of_step.remove(mine)


async def _hand_out(ctx: Context, sent: Signal[Any], all_of_step: list[_Asking]) -> None:
    """Give an answer to the run that asked for it; note one that is for none of them."""
    answer = _read(sent.payload)
    asking = next((each for each in all_of_step if answer is not None and answer.call in each.waiting), None)
    if answer is None:
        why = "it is no Approval"
    elif asking is None:
        why = "no call that waits is of its digest"
    elif answer.approved is None and not asking.waiting[answer.call].runs_elsewhere:
        why = "it does not say whether the call is approved"
    else:
        asking.take(answer, sent.sent_at)
        return
    await _ignore(ctx, sent.payload, why)


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


async def _ignore(ctx: Context, payload: Any, why: str) -> None:
    """Tell once that an answer was ignored. It is no call of the budget, which is not for strangers to spend."""
    is_first = False

    def ignored() -> None:
        nonlocal is_first
        is_first = True

    await notes.note(ctx, ctx._operations, ignored)  # pyright: ignore[reportPrivateUsage]
    if not is_first:
        return
    log.warning("answer ignored, %s: task=%s step=%s", why, ctx.task_id, ctx.step)
    text = json.dumps(payload)
    await ctx.emit(IGNORED, {"payload": payload if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN], "why": why})
