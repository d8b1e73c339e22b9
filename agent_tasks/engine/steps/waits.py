"""The waits of a step that runs here: taken, kept and cancelled on Postgres; and what it notes without a call."""

import logging
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any

from agent_tasks.authoring.agent import check_signal, loaded_agents
from agent_tasks.authoring.calls import recorded_errors
from agent_tasks.authoring.calls.operations import Awaited, Call, Intent
from agent_tasks.authoring.directives import FanOut, Sleep, Wait
from agent_tasks.engine.steps.answers import restore
from agent_tasks.engine.steps.calls import DatabaseAway, StepCalls
from agent_tasks.errors import InvalidInput
from agent_tasks.task import payloads
from agent_tasks.task.arguments import TASK_SIGNALS
from agent_tasks.task.hook_token import wait_id_of
from agent_tasks.transitions import park
from agent_tasks.transitions.ledger import RecordedCall
from agent_tasks.transitions.note import note
from agent_tasks.transitions.open_wait import OpenWait, WaitRecord, shown_of
from agent_tasks.transitions.signal import inbox, senders

log = logging.getLogger(__name__)


class StepWaits(StepCalls):
    """Writes what comes of each wait in one transaction with the signal that it takes, under the run's fence."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._taking = threading.Lock()  # a wait that is cancelled gives back what is being taken for it
        self._taken: list[Awaited] = []
        self._is_over = False

    def note(self, call: Call, value: Any, order: int) -> tuple[Any, Intent]:
        record: RecordedCall = call.record
        record.begun, record.births = next(self.branches.clock), call.branch.births
        answer = self.answer(call, value)
        self._durably(lambda: self._do(note, record, answer.text, order))
        record.status, record.ended, record.replay, record.error = "completed", order, None, None
        self.load().add(record)
        return answer.value, Intent(call, record.ordinal, record.idempotency_key)

    def note_failure(self, call: Call, error: BaseException, order: int) -> Intent:
        record: RecordedCall = call.record
        record.begun, record.births = next(self.branches.clock), call.branch.births
        text = payloads.encode(recorded_errors.record(error), "error")
        self._durably(lambda: self._do(note, record, text, order, status="failed"))
        record.status, record.ended, record.replay, record.error = "failed", order, None, error
        self.load().add(record)
        return Intent(call, record.ordinal, record.idempotency_key)

    def check_wait(self, directive: Wait | Sleep | FanOut) -> None:
        claim = self._claim
        if claim.undo_step is not None:
            raise InvalidInput("An undo function cannot wait: it has AGENT_TASKS_UNDO_SECONDS, and undoes in one go")
        found = loaded_agents().get(claim.agent)
        for name in directive.names if isinstance(directive, Wait) and found is not None else ():
            if not name.startswith(TASK_SIGNALS):
                check_signal(claim.agent, found.signals if found else None, name)

    def wait_id(self, name: str, turn: int) -> str:
        return wait_id_of(self._claim.lineage_id, self._claim.step_number, name, turn)

    def begin_wait(self, awaited: Awaited) -> None:
        record: RecordedCall = awaited.call.record
        if record.status != "started" or not record.begun:  # else it goes on, and follows nothing that came since
            record.begun, record.births = next(self.branches.clock), awaited.call.branch.births
        if record.inherited and isinstance(awaited.directive, Wait):
            record.wait = None  # the task that goes on waits anew, as long as it says

    def take_waits(self, waits: Sequence[Awaited], orders: Sequence[int]) -> list[tuple[Awaited, Any, int]]:
        by_ordinal = {awaited.call.record.ordinal: awaited for awaited in waits}
        with self._taking:
            left = [awaited for awaited in waits if not awaited.is_cancelled]
            if self._is_over or not left:
                return []
            taken = self._durably(lambda: self._do(park.take, self.opened(left), orders))
            for ordinal, _, order in taken:
                self._note_wait(by_ordinal[ordinal], "completed", order)
                self._taken.append(by_ordinal[ordinal])
        found = [(by_ordinal[ordinal], outcome, order) for ordinal, outcome, order in taken]
        return [(awaited, restore(awaited.call.function, outcome), order) for awaited, outcome, order in found]

    def keep_waits(self, waits: Sequence[Awaited]) -> None:
        with self._taking:
            left = [awaited for awaited in waits if not awaited.is_cancelled]
            kept = self._durably(lambda: self._do(park.keep, self.opened(left)))
            for awaited in left:
                if (wait := kept.get(awaited.call.record.ordinal)) is not None:
                    awaited.call.record.wait = wait
                    self._note_wait(awaited, "started", None)

    def cancel_wait(self, awaited: Awaited) -> None:
        with self._taking:
            self._cancel_wait(awaited)

    def give_back(self) -> None:
        """Let nothing more be taken: the step has returned. What its code was not given is there for a later one."""
        with self._taking:
            self._is_over = True
            for awaited in self._taken:
                if not awaited.is_given and awaited.call.record.status == "completed":
                    self._cancel_wait(awaited)

    def _cancel_wait(self, awaited: Awaited) -> None:
        awaited.is_cancelled = True
        order = next(self.branches.clock)
        (opened,) = self.opened([awaited])
        self._durably(lambda: self._do(park.cancel, opened, order))
        awaited.call.record.within = awaited.call.branch
        self._note_wait(awaited, "cancelled", order)

    def has_come(self, name: str) -> bool:
        return bool(self._durably(lambda: self._do(lambda connection, claim: inbox(connection, claim.id, [name]))))

    def senders(self, waited: dict[str, Any]) -> list[str]:
        """Return the spans that ended a wait between steps, or that woke the step which waits; none if that fails."""
        number, names = self._claim.step_number, waited["names"]
        try:
            return self._do(lambda c, claim: senders(c, claim.id, number, names, is_parked="waits" in waited))
        except DatabaseAway as error:
            log.debug("a wait is traced without who ended it: %s", error)
            return []

    def opened(self, waits: Sequence[Awaited]) -> list[OpenWait]:
        """What Postgres is told of these waits."""
        return [self._opened(awaited) for awaited in waits]

    def _note_wait(self, awaited: Awaited, status: str, order: int | None) -> None:
        record: RecordedCall = awaited.call.record
        record.status, record.ended, record.replay, record.error = status, order, None, None
        self.load().add(record)

    def _opened(self, awaited: Awaited) -> OpenWait:
        directive, record, age = awaited.directive, awaited.call.record, monotonic() - awaited.began
        if isinstance(directive, FanOut):
            return OpenWait(record, {"kind": "children"}, age, None)
        known: WaitRecord | None = record.wait
        if isinstance(directive, Sleep):
            until = directive.until.isoformat() if directive.until else None
            return OpenWait(record, {"kind": "timer"}, age, directive.seconds, until)
        if known is None:
            wait_ids = {name: self.wait_id(name, turn) for name, turn in awaited.turns.items()}
        else:
            wait_ids = known.get("wait_ids", {})  # an answer may be on its way
        return OpenWait(record, shown_of(wait_ids, "all" if directive.all else "any"), age, directive.timeout)
