"""What a repeated step is given back: its calls of earlier runs, matched by their identity."""

import itertools
import logging
import threading
from collections.abc import Collection, Iterable, Iterator

from agent_tasks.authoring.calls.branches import LOOSE, Branch, Branches
from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.authoring.calls.operations import Call
from agent_tasks.errors import ContextLost
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.ledger import RecordedCall, RecordedCharge

log = logging.getLogger(__name__)
_ENDED = ("completed", "failed")
_MADE = ("completed", "started")
"""Statuses of calls that may have had an effect and were not seen to fail."""


class Replay:
    """The calls of one step, recorded before or in this run, and which of them this run has asked for.

    A record that the step has not asked for yet must be asked for before its branch makes a call that is not
    recorded, and before the branch comes to its end: else the step goes another way than before. So it does where
    code makes such a call, and has not begun a task or thread in which calls are recorded.
    """

    def __init__(
        self,
        claim: Claim,
        branches: Branches,
        recorded: Iterable[RecordedCall] = (),
        charges: Collection[RecordedCharge] = (),
    ) -> None:
        self._claim = claim
        self._branches = branches
        self._lock = threading.Lock()
        self._records: list[RecordedCall] = []
        self._known: dict[object, list[RecordedCall]] = {}
        self._of_0_1: dict[int, RecordedCall] = {}
        self._due: dict[str, dict[int, RecordedCall]] = {}
        self._given_back: list[CallIdentity] = []
        self._passed_over: set[str] = set()
        for record in recorded:
            self.add(record)
            if record.branch is None:
                self._of_0_1[record.ordinal] = record
            elif record.replay is None:
                self._due.setdefault(record.branch, {})[record.ordinal] = record
        ordered = [r for of_branch in self._due.values() for r in of_branch.values() if r.status in _ENDED]
        self._ordered = [item for item in (*ordered, *charges) if item.ended]
        self._ordered.sort(key=_ended)
        self._begun = itertools.count()
        self._ordinals = itertools.count(max((record.ordinal + 1 for record in self._records), default=0))
        ticks = (tick for record in self._records for tick in (record.begun, record.ended or 0, *record.births))
        self.latest = max(*ticks, *map(_ended, charges), 0, 0)
        """The latest tick so far of the step's clock."""

    def add(self, record: RecordedCall) -> None:
        """Add a call that is begun in this run, or was in an earlier one."""
        if record not in (tries := self._known.setdefault(_known_by(record.identity), [])):
            tries.append(record)
            self._records.append(record)

    def inherits(self, identity: CallIdentity) -> bool:
        """Whether this call is over in what a task before this one recorded."""
        return any(record.inherited and record.status in _ENDED for record in self._known.get(_known_by(identity), ()))

    def is_over(self, identity: CallIdentity) -> bool:
        """Whether this call is over, in this task or in one before it."""
        return any(record.status in _ENDED for record in self._known.get(_known_by(identity), ()))

    def take_ordinal(self) -> int:
        """Take the next place in the order in which calls are begun."""
        return next(self._ordinals)

    def of(self, ordinal: int) -> RecordedCall:
        return next(record for record in reversed(self._records) if record.ordinal == ordinal)

    # --- calls ----------------------------------------------------------------------------------------------

    def find(self, call: Call) -> RecordedCall | None:
        """Find the record that the step is given back for this call.

        None where the call is to be made: anew, or, where that is in `call.record`, under its record. Raises
        ContextLost.
        """
        with self._lock:
            number = next(self._begun)
            tries = self._tries_of_0_1(call, number) or self._tries(call)
            for record in tries:
                self._asked(record)
            if not tries and (failure := self._failure_in_its_place(call)) is not None:
                self._asked(failure)
                return failure
            if not tries:
                self._refuse_another_way(call)
                return None
            call.tries = len(tries) - 1
            last = tries[-1]
            if last.replay == "tried":  # the worker was lost before the next try
                call.tries += 1
                return None
            if self._is_given_back(last):
                self._given_back.append(call.identity)
                return last
            if call.options.at_most_once or last.at_most_once:
                raise self._at_most_once(last)
            call.record = last
            if last.replay == "again":
                call.tries = 0
            return None

    def _is_given_back(self, record: RecordedCall) -> bool:
        if record.status == "failed" and record.ended is None:
            return False  # 0.1.0 did not say whether the step had seen that
        return record.status != "started" and record.replay != "again"

    def _tries(self, call: Call) -> list[RecordedCall]:
        """The records of this call, in order: more than one where its `retry` began it again."""
        tries = self._known.get(_known_by(call.identity), [])
        if call.identity.key is None or not tries:
            return tries
        same = [r for r in tries if (r.name, r.digest) == (call.identity.name, call.identity.digest)]
        if not same and not (tries[-1].inherited and not call.options.at_most_once and not tries[-1].at_most_once):
            old = tries[-1]
            what = f"{old.name} with other arguments" if old.name == call.identity.name else old.name
            raise self.lost(f"the key {call.identity.key!r} of call {call.identity.name} was that of {what}", old)
        return same

    def _tries_of_0_1(self, call: Call, number: int) -> list[RecordedCall]:
        """A record of 0.1.0, which knew a call by the order in which it was begun, and its name."""
        old = self._of_0_1.get(number)
        if old is None or old.name == call.identity.name:
            return [old] if old is not None else []
        if old.inherited and not (call.options.at_most_once or old.at_most_once):
            return []  # a fork may go another way than the task it was made from
        raise self.lost(f"its call {number} was {old.name}, now it is {call.identity.name}", old)

    def _asked(self, record: RecordedCall) -> None:
        due = self._due.get(record.path, {})
        due.pop(record.ordinal, None)
        if not due:
            self._due.pop(record.path, None)

    def _failure_in_its_place(self, call: Call) -> RecordedCall | None:
        """A failure that the step went on from, next in its branch and of this name, though of other arguments.

        Nothing came of that call which another one could be given by mistake, and what the step did next followed
        from it: it is seen again, with a warning. An outcome is only ever given to a call of the same arguments.
        """
        due = self._due.get(call.branch.path, {})
        first = due[min(due)] if due and not call.branch.is_loose and call.identity.key is None else None
        if first is None or first.key is not None or first.inherited or first.name != call.identity.name:
            return None
        if first.status not in ("failed", "cancelled") or first.at_most_once or call.options.at_most_once:
            return None
        log.warning(
            "call repeated with other arguments, it gets its recorded failure: task=%s step=%s call=%s",
            self._claim.id,
            self._claim.step,
            first.name,
        )
        return first

    def _refuse_another_way(self, call: Call) -> None:
        """Refuse a fork that goes another way around a call that may be made at most once."""
        if call.branch.is_loose:
            return
        for due in self._due_before(call.branch):
            may_differ = due.inherited and not (due.at_most_once or call.options.at_most_once)
            if due.key is None and not may_differ:
                raise self.lost(
                    f"it calls {call.identity.name}, which is not recorded, where {due.name} is recorded",
                    due,
                )

    def _due_before(self, branch: Branch) -> Iterator[RecordedCall]:
        """The records due before code makes another call: its own, and those of tasks that it has not begun.

        It had begun these before it came to that call, which would be recorded otherwise.
        """
        for path, due in self._due.items():
            if path == branch.path:
                yield from due.values()
            elif self._is_not_begun(path, branch.path):
                yield from (record for record in due.values() if record.status in _MADE)

    def _is_not_begun(self, path: str, outer: str) -> bool:
        if not _is_within(path, outer):
            return False
        part = path[len(outer) + 1 :].partition("/")[0]
        if part == LOOSE or part.endswith(")"):
            return False  # begun by nobody, or by a call that is recorded itself
        return self._branches.find(f"{outer}/{part}") is None

    def has_before(self, order: int) -> bool:
        """Whether an outcome that the step saw before this one is still to be asked for."""
        while self._ordered and _ended(self._ordered[0]) < order:
            if not self._is_past(self._ordered[0]):
                return True
            self._ordered.pop(0)
        return False

    def _is_past(self, item: RecordedCall | RecordedCharge) -> bool:
        """Whether the step has asked for a record, or will not, since it belongs to a call that was given back."""
        if isinstance(item, RecordedCharge):
            is_asked, path = item.is_asked, item.branch
        else:
            is_asked, path = item.ordinal not in self._due.get(item.path, {}), item.path
        if is_asked:
            return True
        while self._given_back:  # the paths of few are ever asked for, and each takes a digest
            self._passed_over.add(self._given_back.pop().path)
        return any(above in self._passed_over for above in _above(path))

    # --- the end of a try -----------------------------------------------------------------------------------

    def check_end(self) -> None:
        """See that a step that returned has asked for every call that it made before. Raises ContextLost."""
        for record in [r for of_branch in self._due.values() for r in of_branch.values()]:
            if record.status not in _MADE or record.inherited:
                continue
            if self._has_ended(record.path):
                raise self.lost(f"it ended without {record.name}, which it made before", record)

    def _has_ended(self, path: str) -> bool:
        """Whether the code that would have asked came to its own end, or was left out by code that did."""
        while (branch := self._branches.find(path)) is None:
            path, _, part = path.rpartition("/")
            if part.endswith(")"):
                return False  # it is within a call that was given back, or is asked for itself
        return not branch.resumes and (branch.is_loose or branch.has_returned)

    def judge(self, error: BaseException, within: str = "") -> list[RecordedCall]:
        """Find what is made again after a try raised: what ended it, and what nobody has gone on from.

        Returns the records that this changes. `within`: the branch of the call whose try it was.
        """
        with self._lock:
            records = [r for r in self._records if _is_within(r.path, within)]
            raised = {id(cause) for cause in _causes(error)}
            ends = [r for r in records if r.status in ("failed", "cancelled") and r.replay is None]
            again = {r for r in ends if id(r.error) in raised or not any(_follows(o, r) for o in records if o is not r)}
            since = min((r.ended or 0 for r in again if r.status == "failed"), default=None)
            if since is not None:  # what its task group cancelled, or failed in turn
                later = [r for r in ends if r not in again and (r.ended or 0) > since]
                again |= {r for r in later if self._was_cancelled_with_it(r) or any(_follows(r, a) for a in again)}
            optional = {
                r
                for r in records
                if r not in again and any(_follows(r, a) or _is_within(r.path, a.identity.path) for a in again)
            }
            for record in again:
                record.replay = None if record.is_late else "again"
                record.status = "completed" if record.is_late else record.status
            for record in optional:
                record.replay = record.replay or "optional"
            return [*again, *optional]

    def _was_cancelled_with_it(self, record: RecordedCall) -> bool:
        """Whether its branch was cancelled as a whole, not the call by a time-out that the branch went on from."""
        if record.status != "cancelled":
            return False
        if record.within is not None and record.within.is_cancelled:
            return True
        return not any(o.path == record.path and _follows(o, record) for o in self._records)

    # --- errors ---------------------------------------------------------------------------------------------

    def lost(self, how: str, record: RecordedCall) -> ContextLost:
        """The error of a step that goes another way than before."""
        step, number = self._claim.step, self._claim.step_number
        return ContextLost(
            f"Step {step} goes another way than before: {how}. A repeated step must make the same calls again; "
            "keep what varies (time, random numbers) inside of calls, or give calls a key.",
            step=step,
            step_number=number,
            ordinal=record.ordinal,
            call=record.name,
        )

    def _at_most_once(self, record: RecordedCall) -> ContextLost:
        step, number = self._claim.step, self._claim.step_number
        what = "its outcome is unknown"
        if record.status == "failed":
            what = f"it failed: {record.outcome['message']}"
        elif record.status == "cancelled":
            what = "it was cancelled"
        return ContextLost(
            f"Call {record.name} of step {step} may be made at most once, was begun before, and {what}. Find out what "
            "happened outside, then submit the rest as a new task.",
            step=step,
            step_number=number,
            ordinal=record.ordinal,
            call=record.name,
        )


def _known_by(identity: CallIdentity) -> object:
    return identity.key if identity.key is not None else identity


def _ended(item: RecordedCall | RecordedCharge) -> int:
    return item.ended or 0


def _above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _is_within(path: str, outer: str) -> bool:
    return f"{path}/".startswith(f"{outer}/")


def _follows(later: RecordedCall, record: RecordedCall) -> bool:
    """Whether a call was begun by code that could have seen how the other one ended."""
    if record.ended is None or later.begun < record.ended:
        return False
    parts, others = later.path.split("/"), record.path.split("/")
    shared = next((n for n, (one, other) in enumerate(zip(parts, others, strict=False)) if one != other), None)
    if shared is None:
        shared = min(len(parts), len(others))
    # the first part is the step itself, which has no birth; in the same branch, or in one that waited for it:
    return shared == len(parts) or later.births[shared - 1] > record.ended


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it says it came from, and what is in its exception group."""
    ahead, seen = [error], set[int]()
    while ahead:
        found = ahead.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            ahead += [found.__cause__] if found.__cause__ is not None else []
            ahead += found.exceptions if isinstance(found, BaseExceptionGroup) else ()
