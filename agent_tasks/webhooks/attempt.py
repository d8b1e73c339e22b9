"""One attempt to deliver: what is sent, whether it still is to be, and what came of it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID

from agent_tasks import metrics
from agent_tasks.deployment import Deployment
from agent_tasks.storable import storable
from agent_tasks.store.queries import read
from agent_tasks.task.callback_secret import callback_secrets
from agent_tasks.task.public_address import Allowed
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.transitions import delivery
from agent_tasks.transitions.delivery import Claimed, Outcome
from agent_tasks.webhooks import payload, push, schedule, signing
from agent_tasks.webhooks.delivery_span import DeliverySpan
from agent_tasks.webhooks.threads import Threads
from agent_tasks.webhooks.transport import Answer, NotSent, Resolve, Transport, Withdrawn

log = logging.getLogger(__name__)
Receiver = tuple[str, str, UUID | None]
"""What a 410 speaks for: a lane and its URL, of an endpoint; of a callback, the task, too."""

_FRESH_SECONDS = 1.0
"""For so long after the claim it is known that a delivery is to be made; then it is asked again."""
_GONE = 410
_LONGEST_ERROR = 500
_HEADERS = {"Content-Type": "application/json", "User-Agent": "agent-tasks"}


@dataclass(frozen=True, slots=True)
class Made:
    """An attempt that was made."""

    claimed: Claimed
    outcome: Outcome
    is_failure: bool = False
    """Of its lane."""
    asked: float | None = None
    """Seconds for which the receiver asks to be left alone."""

    @property
    def is_gone(self) -> bool:
        return self.outcome.answer == _GONE

    @property
    def receiver(self) -> Receiver:
        return receiver_of(self.claimed)


class Attempts:
    """Makes attempts for one deployment."""

    def __init__(self, deployment: Deployment, threads: Threads, resolve: Resolve | None) -> None:
        settings = deployment.settings
        self._deployment = deployment
        self._threads = threads
        self._public_url = settings.public_url
        self._scale = settings.webhook_retry_scale
        self._lease_seconds = delivery.LEASE_TIMES * settings.webhook_seconds
        self._transport = Transport(Allowed(settings.webhook_allow), seconds=settings.webhook_seconds, resolve=resolve)
        self._gone: dict[Receiver, float] = {}
        """Who answered 410: when that was committed."""

    def note_gone(self, written: Sequence[Made]) -> None:
        """Note who answered 410 of what is committed by now, for as long as an older claim may be under way."""
        now = monotonic()
        self._gone |= {made.receiver: now for made in written if made.is_gone}
        self._gone = {key: at for key, at in self._gone.items() if at > now or now - at < 2 * self._lease_seconds}

    async def make(self, claimed: Claimed, began: float) -> Made:
        """What came of an attempt for what was claimed at `began`. Raises ServerAway, Contention."""
        text = await self._body(claimed)
        secrets = await self._secrets(claimed)
        headers = signing.headers(payload.message_id(claimed), claimed["now"], text, secrets) | push.headers(claimed)
        span = await self._span(claimed)
        try:
            answer = await self._transport.post(
                claimed["url"],
                {**_HEADERS, **headers, **({} if span is None else {"traceparent": span.traceparent})},
                text.encode(),
                is_wanted=partial(self._is_wanted, claimed, began),
            )
        except Withdrawn:
            return given_back(claimed, "it was not to be sent any more when it was about to be")
        except NotSent as error:
            if span is not None:
                span.end(None)
            return self.failed(claimed, str(error))
        if span is not None:
            span.end(answer.status)
        if 200 <= answer.status < 300:
            waited = (claimed["now"] - claimed["created_at"]).total_seconds()
            metrics.DELIVERY_SECONDS.observe(waited + monotonic() - began)
            return Made(claimed, _outcome(claimed, "delivered", answer=answer.status))
        return self.failed(claimed, f"it answered {answer.status}", answer)

    async def _body(self, claimed: Claimed) -> str:
        task: dict[str, Any] | None = None
        task_id = claimed["task_id"]
        if claimed["push_id"] is not None and task_id is not None:
            row = await self._threads.commit(lambda connection: read.find(connection, task_id))
            return push.body(claimed, None if row is None else row["session_id"])
        if claimed["payload"] == "full" and task_id is not None:
            row = await self._threads.commit(lambda connection: read.find(connection, task_id))
            if row is not None and not row["sensitive"] and (snapshot := TaskSnapshot.read(row)) is not None:
                task = snapshot.model_dump(mode="json")
        return payload.body(claimed, public_url=self._public_url, task=task)

    async def _span(self, claimed: Claimed) -> DeliverySpan | None:
        """The span of an attempt, in the trace of the task that it tells of; None where there are no spans."""
        task_id = claimed["task_id"]
        if task_id is None or not self._deployment.spans.are_written:
            return None
        row = await self._threads.commit(lambda connection: read.find(connection, task_id))
        return None if row is None else DeliverySpan.of(self._deployment.spans, claimed, row)

    async def _secrets(self, claimed: Claimed) -> Sequence[str]:
        if claimed["secret"] is None:
            keys = await self._threads.call(lambda: self._deployment.callback_keys)  # where they are kept in Postgres
            return callback_secrets(keys, claimed["tenant"])
        return [secret for secret in (claimed["secret"], claimed["old_secret"]) if secret]

    async def _is_wanted(self, claimed: Claimed, began: float) -> bool:
        """Whether a delivery is to be made, as far as is known here, and where that is old, in Postgres."""
        gone_at = self._gone.get(receiver_of(claimed))
        is_gone = gone_at is not None and began <= gone_at
        age = monotonic() - began
        if is_gone or age >= self._lease_seconds / 2:
            return False
        return age < _FRESH_SECONDS or await self._threads.commit(lambda c: delivery.is_wanted(c, claimed))

    def failed(self, claimed: Claimed, why: str, answer: Answer | None = None, *, is_failure: bool = True) -> Made:
        status = answer.status if answer else None
        told = schedule.seconds_of(answer.retry_after, claimed["now"]) if answer else None
        delay = schedule.delay_after(claimed["attempt"] - claimed["given_back"], told, scale=self._scale)
        if status == _GONE:
            self._gone[receiver_of(claimed)] = float("inf")
            delay = None
        error = storable(why)[:_LONGEST_ERROR]
        outcome = _outcome(claimed, "failed" if delay is None else "pending", answer=status, error=error, delay=delay)
        log.info(
            "delivery failed: delivery=%s lane=%s type=%s attempt=%d error=%s next=%s",
            claimed["id"], line(claimed["lane"]), line(claimed["type"]), claimed["attempt"], line(error),
            "none" if delay is None else f"{delay:.1f}s",
        )  # fmt: skip
        return Made(claimed, outcome, is_failure, schedule.asked_pause(status, told))


def _outcome(claimed: Claimed, status: delivery.Ending, **said: Any) -> Outcome:
    return Outcome(claimed["id"], claimed["attempt"], status, **said)


def line(text: str) -> str:
    """Return what somebody else named as the log has it: on one line."""
    return text if text.isprintable() else ascii(text)


def receiver_of(claimed: Claimed) -> Receiver:
    return claimed["lane"], claimed["url"], claimed["task_id"] if claimed["webhook_id"] is None else None


def given_back(claimed: Claimed, why: str, *, delay: float = 0.0) -> Made:
    """An attempt that was not made, or broken off, and does not count: it is due again, unless it is over by now."""
    return Made(claimed, _outcome(claimed, "pending", error=why, delay=delay, is_counted=False))
