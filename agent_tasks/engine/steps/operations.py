"""The durable operations of a step that runs here, on Postgres."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any
from uuid import UUID

from agent_tasks.authoring.agent import check_signal, loaded_agents
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.authoring.kept import Kept
from agent_tasks.client.client import AgentTasks
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.steps.calls import DatabaseAway
from agent_tasks.engine.steps.fan_outs import StepFanOuts
from agent_tasks.errors import InvalidInput, LeaseLost
from agent_tasks.store.queries import read
from agent_tasks.task import payloads
from agent_tasks.task.arguments import check_text, refused
from agent_tasks.task.budget import LARGEST_AMOUNT, Spend, crossed
from agent_tasks.task.event import TOLD_TYPES, EventType
from agent_tasks.task.hook_secrets import hook_secrets
from agent_tasks.task.hook_token import HookToken
from agent_tasks.transitions import spend
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.hook import find_hook, keep_hook

log = logging.getLogger(__name__)
SHOW_SECONDS = 0.25
"""Progress is written at most this often; the latest is never lost."""


class StepOperations(StepFanOuts):
    """Operations that write at once, under the run's fence, and raise LeaseLost where the run has lost the step."""

    def __init__(self, client: AgentTasks, claim: Claim, combiners: Combiners, changed: Callable[[UUID], None]) -> None:
        """`changed` is called after each write that an observer can see."""
        super().__init__(client, claim, combiners, changed)
        self._shown_at = 0.0
        self._progress: str | None = None
        self._warned_at = claim.spent

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        self.waits.check()
        _check_progress(done, total, message)
        text = payloads.encode({"done": done, "total": total, "message": message}, "progress", limit=self._limit)
        self._progress = text
        if monotonic() - self._shown_at >= SHOW_SECONDS:
            self.flush_progress()

    def flush_progress(self) -> None:
        """Write the progress that was thinned out; called with the heartbeat."""
        with self._lock:
            text, self._progress = self._progress, None
        if text is not None:
            self._shown_at = monotonic()
            self._report(spend.show_progress, text)

    def take_progress(self) -> str | None:
        """The progress not written yet, for the commit to take along."""
        with self._lock:
            text, self._progress = self._progress, None
            return text

    def emit(self, name: str, data: Any) -> None:
        self.waits.check()
        check_text(name, "name", 128)
        if name in (*EventType, *TOLD_TYPES):
            raise InvalidInput(f"emit needs a name of your own; {name!r} is an event of the system", field="name")
        text = payloads.encode_value(data, f"data of event {name}", limit=self._limit)
        self._report(spend.emit, name, text)

    def partial(self, value: Any, remaining: Sequence[Any] | None = None) -> None:
        self.waits.check()
        if not isinstance(remaining, list | tuple | None):
            raise refused("partial(remaining=) takes a list of what is left to do", remaining, "remaining")
        text = payloads.encode_value(value, "partial result", limit=self._limit)
        left = None
        if remaining is not None:
            left = payloads.encode_value(list(remaining), "what remains of a partial result", limit=self._limit)
        self._report(spend.keep_partial, text, left)

    def hook(self, asked: HookOptions) -> str:
        self.waits.check()
        claim, settings = self._claim, self._deployment.settings
        if claim.undo_step is not None:
            raise InvalidInput("An undo function can make no hook: no step of its task waits any more")
        if (found := loaded_agents().get(claim.agent)) is not None:
            check_signal(claim.agent, found.signals, asked.signal)
        if asked.secret is not None and asked.secret not in hook_secrets(settings.hook_secrets):
            named = f"{asked.secret}=" if asked.secret else ""
            raise InvalidInput(
                f"hook(verify={asked.verify!r}) needs {named}whsec_… in AGENT_TASKS_HOOK_SECRETS, of workers and "
                "gateways: the secret with which the other system signs.",
                field="verify",
            )
        turn = self.waits.turn(asked.signal)
        fingerprint = asked.fingerprint(turn)
        known = self._durably(lambda: self._do(find_hook, fingerprint, asked.seconds))
        if known["url"] is not None:
            return known["url"]
        step = (claim.lineage_id, asked.signal, claim.step_number)
        token = HookToken(claim.id, *step, known["expires_at"], asked.once, asked.secret, turn)
        url = f"{settings.public_url}/hooks/{token.sign(self._deployment.hook_keys[0])}"
        return self._durably(lambda: self._do(keep_hook, fingerprint, url))

    def kept(self) -> Kept | None:
        self.waits.check()
        before: UUID | None = self._claim.row["resumed_from"]
        row = None if before is None else self._do(lambda connection, _: read.kept(connection, before))
        return None if row is None else Kept(value=row["partial"], remaining=row["remaining"])

    def warn(self, before: Spend, after: Spend) -> None:
        for resource in crossed(self._claim.budget, before, after):
            data = {
                "resource": resource,
                "spent": getattr(after, resource),
                "limit": getattr(self._claim.budget, resource),
            }
            self._report(spend.emit, EventType.BUDGET_LOW, json.dumps(data))

    def warn_of_steps(self) -> None:
        """Warn, as the step begins, where the budget of steps runs low with the one before it.

        A FanOut warns by itself, and so do its children. A step that is tried again has warned before.
        """
        claim, spent = self._claim, self._claim.spent
        if claim.budget.steps is None or not spent.steps:
            return
        if claim.is_first and (claim.awaits or {}).get("kind") != "children":
            before = replace(spent, steps=spent.steps - 1)
            try:
                self.warn(before, spent)
            except (LeaseLost, DatabaseAway) as error:  # only a warning: the step itself will find out
                log.debug("warning not written: %s", error)

    def warn_of_time(self) -> None:
        """Warn, with the heartbeat, where the budget of seconds runs low while the step runs."""
        if self.context is not None and (now := self.context.spent).seconds > self._warned_at.seconds:
            before, self._warned_at = self._warned_at, now
            self.warn(Spend(seconds=before.seconds), Spend(seconds=now.seconds))

    def _report(self, transition: Callable[..., Any], *args: Any) -> None:
        self._do(transition, *args)
        self._changed(self._claim.id)


def _check_progress(done: Any, total: Any, message: Any) -> None:
    numbers = [done] if total is None else [done, total]
    for field, number in zip(("done", "total"), numbers, strict=False):
        if type(number) not in (int, float) or not abs(number) <= LARGEST_AMOUNT:
            raise refused(f"progress({field}=) takes a number of up to {LARGEST_AMOUNT:g}", number, field)
    if not isinstance(message, str | None):
        raise refused("progress takes a message of text", message, "message")
