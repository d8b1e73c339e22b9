"""The durable operations of a step that is replayed: what was recorded is given back, and nothing is written."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.authoring.calls.operations import Awaited, Call, Charge, Given, Intent
from agent_tasks.authoring.handed import ChildOutcome
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.authoring.kept import Kept
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.task.budget import Spend, check_charge
from agent_tasks.testing.calls import Calls, Refused
from agent_tasks.testing.deployment import TestedDeployment
from agent_tasks.testing.operations import TestedOperations
from agent_tasks.testing.recording import Recording
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.ledger import RecordedCall, RecordedCharge


class ReplayedOperations(TestedOperations):
    """Operations of a worker without Postgres: the ledger is that of a recording.

    A call that the recording does not have is stubbed, runs for real where `calls` allows that, or is refused.
    """

    def __init__(self, deployment: TestedDeployment, claim: Claim, recording: Recording, calls: Calls) -> None:
        combiners = Combiners(deployment, "replay")
        super().__init__(deployment, claim, combiners, lambda _: None, calls=calls, ahead=timedelta)
        self._recording = recording

    def read_recorded(self) -> tuple[dict[int, RecordedCall], dict[str, RecordedCharge]]:
        return self._recording.calls(self._claim.step_number), self._recording.charges(self._claim.step_number)

    def find(self, call: Call) -> Given | None:
        given = super().find(call)
        if given is not None:
            self._spend(self._recording.cost_of_call(self._claim.step_number, call.record.ordinal))
        return given

    def find_charge(self, identity: CallIdentity) -> Given | None:
        given = super().find_charge(identity)
        if given is not None:
            self._spend(self._recording.cost_of_charge(self._claim.step_number, identity.fingerprint))
        return given

    def begin_call(self, call: Call) -> Intent:
        if call.is_message:
            raise Refused(
                f"step {self._claim.step} sends the Celery task {call.identity.name}, which it did not before"
            )
        record: RecordedCall = call.record
        record.begun, record.births = next(self.branches.clock), call.branch.births
        record.status, record.ended, record.replay, record.error = "started", None, None, None
        self.load().add(record)
        self._spend(Spend(calls=1))
        call.tries += 1
        return Intent(call, record.ordinal, record.idempotency_key)

    def outgoing(self, celery_task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return super(TestedOperations, self).outgoing(celery_task, args, kwargs)

    def charge(self, charge: Charge, order: int) -> None:
        check_charge(charge.tokens, charge.usd)
        spent = self._spend(Spend(tokens=charge.tokens, usd=charge.usd))
        self.check_charge(
            RecordedCharge(charge.identity.branch, spent.tokens, spent.usd, order, inherited=False, is_asked=True)
        )

    def spawn(self, awaited: Awaited, order: int) -> Exception | None:
        self.begin_wait(awaited)
        return None

    def joined(self, awaited: Awaited) -> list[ChildOutcome]:
        outcomes = self._recording.children(self._claim.step_number, awaited.call.record.ordinal)
        for outcome in outcomes:
            self._spend(outcome.spent)
        return outcomes

    def take_waits(self, waits: Sequence[Awaited], orders: Sequence[int]) -> list[tuple[Awaited, Any, int]]:
        return []  # what came is in the recording: for the others the task waits

    def keep_waits(self, waits: Sequence[Awaited]) -> None:
        pass

    def cancel_wait(self, awaited: Awaited) -> None:
        awaited.is_cancelled = True
        awaited.call.record.within = awaited.call.branch
        self._note_wait(awaited, "cancelled", next(self.branches.clock))

    def has_come(self, name: str) -> bool:
        return False

    def hook(self, asked: HookOptions) -> str:
        fingerprint = asked.fingerprint(self.waits.turn(asked.signal))
        known = self._recording.hook(self._claim.step_number, fingerprint)
        return known or f"https://hooks.invalid/{asked.signal}"

    def kept(self) -> Kept | None:
        return self._recording.kept

    def _spend(self, more: Spend) -> Spend:
        """Count what was spent when the task was recorded, or is spent now; return what is spent with that."""
        spent = self._spent() + more
        if self.context is not None:
            self.context.note_spent(spent)
        return spent

    def _end(self, intent: Intent, status: str, outcome: str | None, order: int, replay: str | None = None) -> None:
        record: RecordedCall = intent.call.record
        record.status, record.ended, record.replay = status, order, replay

    def _do(self, transition: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Write nothing."""
