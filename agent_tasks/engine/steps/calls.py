"""The calls and charges of a step that runs here: recorded on Postgres, and given back to a repeat."""

import asyncio
import itertools
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from agent_tasks import metrics
from agent_tasks.authoring.agent import check_tool
from agent_tasks.authoring.calls import recorded_errors
from agent_tasks.authoring.calls.branches import Branches
from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.authoring.calls.operations import Answer, Call, Charge, Given, Intent, Operations, Outgoing, Premises
from agent_tasks.authoring.calls.turns import Turns
from agent_tasks.authoring.calls.waits import Waits
from agent_tasks.authoring.context import StepContext
from agent_tasks.deployment import Deployment
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.observers.step_span import StepSpan
from agent_tasks.engine.steps.answers import RecordedAnswer, restore
from agent_tasks.engine.steps.outgoing import OutgoingTask
from agent_tasks.engine.steps.replay import Replay
from agent_tasks.errors import AgentTaskError, BudgetExhausted, ContextLost, LeaseLost
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import read
from agent_tasks.task import payloads
from agent_tasks.task.amount import NOTHING, Amount
from agent_tasks.task.budget import Spend, check_charge, exact, overdrawn
from agent_tasks.transitions import fence, ledger, spend
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.ledger import CallBegin, CallEnd, RecordedCall, RecordedCharge
from agent_tasks.transitions.spend import CallPart

T = TypeVar("T")
_PATIENCE_SECONDS = 10.0
"""How long, beside twice its first time, a repeated call that the step had cancelled waits to be cancelled again."""
_CANCELLED_CHARGE_SECONDS = 1.0


class DatabaseAway(Exception):
    """Raised where Postgres did not answer while a step ran: no fault of the step, which runs again."""


class StepCalls(Operations):
    """Writes each call's intent and outcome at once, under the run's fence.

    Raises LeaseLost when the run owns the step no more. What says that the step cannot be committed (that, ContextLost,
    Postgres being away) is kept, and said again by all that follows: a step that catches it cannot get around it.
    """

    def __init__(
        self, deployment: Deployment, claim: Claim, combiners: Combiners, changed: Callable[[UUID], None]
    ) -> None:
        self._deployment = deployment
        self._claim = claim
        self.task_id = claim.id
        self._combiners = combiners
        self._changed = changed
        self._limit = deployment.settings.payload_limit
        self._lock = threading.Lock()
        self._replay: Replay | None = None
        self._charges: dict[str, RecordedCharge] = {}
        self._held = Amount(claim.held.tokens, exact(claim.held.usd) or NOTHING.usd)
        self._broken: Exception | None = None
        self.branches = Branches(repeats=claim.repeated)
        self._waits = Waits(self, claim.step)
        self.context: StepContext | None = None
        self.span: StepSpan | None = None
        """The spans of this run, where it is traced."""

    @property
    def waits(self) -> Waits:
        return self._waits

    @property
    def premises(self) -> Premises:
        url = str(self._deployment.settings.database_url)
        return Premises(url, fence.LOCK_OWNED, self._claim.fence, self._outside)

    def _outside(self, error: Exception | None) -> Exception:
        """Keep and return what a library's own writes say of the step."""
        if error is None:
            return self._breaks(fence.lost(self._claim))
        return self._breaks(DatabaseAway(str(error))) if isinstance(error, Transient) else error

    def load(self) -> Replay:
        """Read what earlier runs of the step have recorded; called before the step begins."""
        if self._replay is None:
            recorded: dict[int, RecordedCall] = {}
            if self._claim.repeated:
                recorded, self._charges = self.read_recorded()
            self._replay = Replay(self._claim, self.branches, recorded.values(), self._charges.values())
            self.branches.clock = itertools.count(self._replay.latest + 1)
            self.turns = Turns(self.branches.tasks, self._replay)
        return self._replay

    def read_recorded(self) -> tuple[dict[int, RecordedCall], dict[str, RecordedCharge]]:
        """The calls and the charges that earlier runs of the step have recorded."""
        return self._do(ledger.recorded_calls), self._do(ledger.recorded_charges)

    # --- calls ----------------------------------------------------------------------------------------------

    def find(self, call: Call) -> Given | None:
        replay = self.load()
        self.waits.check()
        self._check()
        try:
            record = replay.find(call)
        except ContextLost as error:
            raise self._breaks(error) from None
        if record is not None:
            call.record = record
            return _GivenBack(self, call, record)
        call.record = call.record or self._new_record(call)
        return None

    def begin_call(self, call: Call) -> Intent:
        check_tool(self._claim.agent, call.function)
        record: RecordedCall = call.record
        record.begun, record.births = next(self.branches.clock), call.branch.births
        begin = CallBegin(
            self._claim,
            record.ordinal,
            record.name,
            record.idempotency_key,
            record.at_most_once,
            None if record.branch is None else record.identity,
            record.begun,
            record.births,
            Amount.of(call.options.reserve),
            record.held,
        )
        try:
            spent = self._durably(lambda: self._combiners.begin_call(begin))
        except BudgetExhausted as error:
            self._refuse(record, begin, error)
            raise
        if spent is None:
            limit = self._claim.budget.calls or 0
            raise BudgetExhausted.of("calls", limit, limit)
        record.status, record.ended, record.replay, record.error = "started", None, None, None
        self.load().add(record)
        if begin.reserve or begin.back:
            self._hold(record, begin.reserve)
            self._changed(self._claim.id)
        self._note(replace(self._spent(), calls=spent))
        call.tries += 1
        return Intent(call, record.ordinal, record.idempotency_key)

    def _refuse(self, record: RecordedCall, begin: CallBegin, error: BudgetExhausted) -> None:
        """Record that the call was refused, as a failure that the step is given now and on each repeat."""
        order = next(self.branches.clock)
        text = payloads.encode(recorded_errors.record(error), "error")
        self._durably(lambda: self._do(_refused, begin, text, order))
        record.status, record.ended, record.replay, record.error = "failed", order, None, error
        self.load().add(record)
        self._hold(record, NOTHING)

    def _hold(self, record: RecordedCall, amount: Amount) -> Amount:
        """Note what the call has reserved from now on; return what it had before."""
        with self._lock:
            before, record.held = record.held, amount
            more = amount.less(before)
            self._held = Amount(self._held.tokens + more.tokens, self._held.usd + more.usd)
            self._show_held()
        return before

    def _show_held(self) -> None:
        if self.context is not None:
            self.context.note_held(Spend(tokens=self._held.tokens, usd=float(self._held.usd)))

    def outgoing(self, celery_task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outgoing:
        def key_of(identity: CallIdentity) -> str:
            return identity.idempotency_key(self._claim.lineage_id, self._claim.ledger_step)

        queue, (seal_with, *_) = self._deployment.settings.queue, self._deployment.outcome_keys
        return OutgoingTask(celery_task, args, kwargs, self.task_id, queue, key_of, seal_with)

    def inherits(self, identity: CallIdentity) -> bool:
        return self.load().inherits(identity)

    def is_over(self, identity: CallIdentity) -> bool:
        return self.load().is_over(identity)

    def has_ended(self) -> bool:
        if self._claim.undo_step is not None:  # what an undo function does is recorded, although the end is decided
            return False
        try:
            return self._do(_has_ended)
        except DatabaseAway:
            return False

    def break_off(self, problem: str) -> ContextLost:
        error = ContextLost(problem, step=self._claim.step, step_number=self._claim.step_number)
        self._breaks(error)
        return error

    def ended_a_try(self, call: Call) -> bool:
        record: RecordedCall = call.record
        return record.replay == "again"

    def doing(
        self, call: Call, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[..., Any]:
        return function if self.span is None else self.span.traced(call, function)

    def answer(self, call: Call, value: Any) -> RecordedAnswer:
        return RecordedAnswer(call.function, value, self._limit)

    def end_call(self, intent: Intent, answer: Answer, order: int) -> Any:
        assert isinstance(answer, RecordedAnswer)
        try:
            text, value = answer.text, answer.value
        except AgentTaskError as error:
            self.fail_call(intent, error, order, tried=False)
            raise
        self._end(intent, "completed", text, order)
        making = intent.call.branch.making
        if making is not None and making.is_tried:
            intent.call.record.outcome = payloads.stored(text)  # asked for again where that is
        return value

    def fail_call(self, intent: Intent, error: BaseException, order: int, *, tried: bool) -> None:
        record: RecordedCall = intent.call.record
        record.error = error
        if tried and (marked := self.load().judge(error, within=intent.call.identity.path)):
            self._durably(lambda: self._do(ledger.judge, marked))
        text = payloads.encode(recorded_errors.record(error), "error")
        self._end(intent, "failed", text, order, "tried" if tried else None)
        if tried:
            intent.call.record = self._new_record(intent.call)

    def cancel_call(self, intent: Intent) -> None:
        record: RecordedCall = intent.call.record
        if record.ordinal != intent.ordinal:  # it waits for its next try
            record = intent.call.record = self.load().of(intent.ordinal)
        record.is_late, record.within = record.status == "completed", intent.call.branch
        self._end(intent, "cancelled", None, next(self.branches.clock))

    def _new_record(self, call: Call) -> RecordedCall:
        identity, claim = call.identity, self._claim
        key = identity.idempotency_key(claim.lineage_id, claim.ledger_step)
        ordinal = self.load().take_ordinal()
        return RecordedCall(ordinal, *identity, key, call.options.at_most_once)

    def _end(self, intent: Intent, status: str, outcome: str | None, order: int, replay: str | None = None) -> None:
        record: RecordedCall = intent.call.record
        end = CallEnd(self._claim, intent.ordinal, status, outcome, order, replay, self._hold(record, NOTHING))
        if end.back:
            self._durably(lambda: self._do(_settled, end))
            self._changed(self._claim.id)
        else:
            self._durably(lambda: self._combiners.end_call(end))
        record.status, record.ended, record.replay = status, order, replay

    # --- charges --------------------------------------------------------------------------------------------

    def find_charge(self, identity: CallIdentity) -> Given | None:
        self.load()
        self.waits.check()
        known = self._charges.get(identity.fingerprint)
        if known is None:
            return None
        known.is_asked = True
        return _GivenCharge(self, known)

    def charge(self, charge: Charge, order: int) -> None:
        check_charge(charge.tokens, charge.usd)
        identity, tokens, usd = charge.identity, int(charge.tokens), float(charge.usd)
        parts = self._parts(charge.within, Amount(tokens, exact(usd) or NOTHING.usd))
        values = {"identity": identity, "ended": order, "tokens": tokens, "usd": usd}
        spent, reserved, held = self._durably(lambda: self._do(spend.charge, **values, parts=parts, model=charge.model))
        used = spent + reserved + held
        known = RecordedCharge(identity.branch, used.tokens, used.usd, order, inherited=False, is_asked=True)
        self._charges[identity.fingerprint] = known
        self._changed(self._claim.id)
        self._note(spent, reserved)
        metrics.SPENT_TOKENS.labels(self._claim.agent).inc(tokens)
        metrics.SPENT_USD.labels(self._claim.agent).inc(usd)
        if self.span is not None:
            self.span.charged(charge)
        self.check_charge(known)

    def _parts(self, within: Sequence[int], cost: Amount) -> list[CallPart]:
        """Divide a charge among the calls within which it is made: what they have reserved pays first."""
        parts: list[CallPart] = []
        replay, left = self.load(), cost
        with self._lock:
            for record in map(replay.of, within):
                reserved = left.within(record.held)
                if reserved or not parts:
                    parts.append(CallPart(record.ordinal, record.name, NOTHING if parts else cost, reserved))
                left, record.held = left.less(reserved), record.held.less(reserved)
                self._held = self._held.less(reserved)
            self._show_held()
        return parts

    def cancel_charge(self, identity: CallIdentity) -> None:
        if identity.fingerprint in self._charges:
            self._durably(lambda: self._do(spend.cancel_charge, identity))

    def check_charge(self, known: RecordedCharge) -> None:
        """Raise BudgetExhausted where a charge has passed the limit."""
        # what a task before this one saw was of another budget
        used = self._spent() + self._claim.reserved if known.inherited else Spend(tokens=known.tokens, usd=known.usd)
        error = overdrawn(self._claim.budget, Spend(tokens=used.tokens, usd=used.usd))
        if error is not None and self._claim.undo_step is None:  # what was done is undone whatever it costs
            raise error

    # --- the end of a try -----------------------------------------------------------------------------------

    def check_end(self) -> None:
        """See that a step that returned may be committed. Raises what says that it cannot."""
        self.waits.check()
        self._check()
        if self.branches.refused is not None:
            raise self.branches.refused
        if self._replay is not None:
            self._replay.check_end()

    def judge(self, error: BaseException) -> list[RecordedCall]:
        """Find the calls that are to be made again, or need not come again, after the step raised."""
        return self._replay.judge(error) if self._replay is not None else []

    # --- writing --------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _breaks(self, error: Exception) -> Exception:
        self._broken = self._broken or error
        return error

    def lose(self, why: str, record: RecordedCall) -> ContextLost:
        """Keep and return the error of a step that goes another way than before."""
        error = self.load().lost(why, record)
        self._breaks(error)
        return error

    def _durably(self, write: Callable[[], T]) -> T:
        self._check()
        try:
            return _reaching(write)
        except (DatabaseAway, LeaseLost) as error:
            self._breaks(error)
            raise

    def _do(self, transition: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        def run() -> T:
            with self._deployment.database.connection() as connection:
                return transition(connection, self._claim, *args, **kwargs)

        return _reaching(run)

    def _spent(self) -> Spend:
        return self.context.spent if self.context is not None else self._claim.spent

    def _note(self, spent: Spend, reserved: Spend | None = None) -> None:
        before = self._spent()
        if self.context is not None:
            self.context.note_spent(spent, reserved)
        after = self._spent()
        self.warn(replace(before, seconds=0.0), replace(after, seconds=0.0))

    @abstractmethod
    def warn(self, before: Spend, after: Spend) -> None:
        """Write to the task's history each resource that runs low with what was spent between these two."""


class _GivenBack(Given):
    """A call that was recorded before, to be given back."""

    def __init__(self, calls: StepCalls, call: Call, record: RecordedCall) -> None:
        self._calls = calls
        self._call = call
        self._record = record

    async def turn(self) -> None:
        record = self._record
        if record.status == "cancelled":
            await self._until_cancelled()
        if record.ended is None:
            return
        try:
            await self._calls.turns.again(record.ended)
        except asyncio.CancelledError:
            context = self._calls.context
            if record.wait is None and (context is None or not context.cancelled):  # the step had seen how it ended
                self._calls.lose(f"call {record.name} is cancelled, and had {record.status} before", record)
            raise

    @property
    def is_cancelled(self) -> bool:
        return self._record.status == "cancelled"

    async def _until_cancelled(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS + 2 * self._record.seconds):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            raise self._is_not_cancelled() from None

    def outcome(self) -> Any:
        record = self._record
        if record.status == "completed":
            return restore(self._call.function, record.outcome)
        if record.status == "cancelled":
            raise self._is_not_cancelled()
        if record.error is None:  # else it was raised in this run, in an earlier try of the call around it
            record.error = recorded_errors.rebuild(record.outcome)
        raise record.error

    def _is_not_cancelled(self) -> ContextLost:
        return self._calls.lose(f"call {self._record.name} was cancelled, and now it is not", self._record)


class _GivenCharge(Given):
    """A charge that was counted before."""

    def __init__(self, calls: StepCalls, known: RecordedCharge) -> None:
        self._calls = calls
        self._known = known

    async def turn(self) -> None:
        if self._known.ended is not None:
            await self._calls.turns.again(self._known.ended)
        else:  # the step had cancelled it, and most likely does so again; it is counted either way
            await asyncio.sleep(_CANCELLED_CHARGE_SECONDS)

    def outcome(self) -> None:
        self._calls.check_charge(self._known)

    @property
    def is_cancelled(self) -> bool:
        return self._known.ended is None


def _has_ended(connection: Connection, claim: Claim) -> bool:
    row = read.find(connection, claim.id)
    return row is None or row["finished_at"] is not None or row["ending"] is not None


def _refused(connection: Connection, _: Claim, begin: CallBegin, outcome: str, ended: int) -> None:
    ledger.refuse_call(connection, begin, outcome, ended)


def _settled(connection: Connection, _: Claim, end: CallEnd) -> None:
    ledger.settle_call(connection, end)


def _reaching(run: Callable[[], T]) -> T:
    try:
        return run()
    except Transient as error:
        raise DatabaseAway(str(error)) from error
