"""Committing what was decided: each decision is one transition, tried again for as long as the lease may last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import TypeVar

from agent_tasks.client.client import AgentTasks
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.steps.decision import (
    Decision,
    Drop,
    EndWith,
    OfReturned,
    ParkFor,
    RetryAfter,
    SleepUntil,
    Spawn,
    Undone,
    WaitForSignals,
)
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.raised import NOT_SHOWN
from agent_tasks.engine.steps.run import StepRun
from agent_tasks.engine.steps.spawning import Spawning, found
from agent_tasks.errors import AgentTaskError, LeaseLost
from agent_tasks.moments import reached
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Transient
from agent_tasks.store.rows import Row
from agent_tasks.task.row import BellRow
from agent_tasks.task.snapshot import reserved_of, spend_of
from agent_tasks.transitions.acquit import acquit
from agent_tasks.transitions.checkpoint import StepCommit
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.count_down import join_met
from agent_tasks.transitions.ending import end
from agent_tasks.transitions.fail import fail
from agent_tasks.transitions.fan_out import fan_out
from agent_tasks.transitions.fence import lock_owned
from agent_tasks.transitions.park import park
from agent_tasks.transitions.refuse import refuse as refuse_step
from agent_tasks.transitions.release import release
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.signal import deliver, inbox, refuse
from agent_tasks.transitions.undo import Undoing, undone
from agent_tasks.transitions.wait import sleep as sleep_until
from agent_tasks.transitions.wait import wait

T = TypeVar("T")
_SLOWEST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Settled:
    """A committed decision: the task's row as it is now, and what is to be published of the commit."""

    row: BellRow
    name: str
    """What the commit means for the step: succeeded, retried, failed or parked."""
    error: BaseException | None = None
    next_claim: Claim | None = None
    """The claim to go on with in place, if any."""
    changed: Sequence[Row] = ()
    """The task, children that were spawned, parents that were joined; none where a step was handed over, for which a
    bell is enough."""


class Commits:
    """Commits decisions, each by its transition."""

    def __init__(self, client: AgentTasks, combiners: Combiners) -> None:
        self._client = client
        self._combiners = combiners
        self._spawning = Spawning(client)
        self._lease_seconds = client.settings.lease_seconds
        self._ring_seconds = client.settings.ring_seconds

    def commit(
        self, claim: Claim, decision: Decision, instead: Callable[[BaseException], Decision] | None = None
    ) -> Settled:
        """Commit the decision, or, where what a step returned is refused, what is to be done `instead`.

        Raises LeaseLost, DatabaseAway when Postgres stayed away, and without `instead` what refuses it.
        """
        try:
            return self._commit(claim, decision)
        except (LeaseLost, DatabaseAway):
            raise
        except BaseException as error:
            if instead is None or not isinstance(decision, OfReturned):
                raise
            return self._commit(claim, instead(error))

    def refuse(self, claim: Claim, error: AgentTaskError, *, signature: str, only_if_served: bool) -> Row | None:
        """Give back a step that the code here cannot take; None as `transitions.refuse`. Raises DatabaseAway."""
        why = str(error)
        if claim.row["sensitive"]:
            why = f"{claim.agent}.{claim.step} takes other arguments ({NOT_SHOWN})"

        def give_back(connection: Connection) -> Row | None:
            return refuse_step(
                connection,
                claim,
                why,
                signature=signature,
                only_if_served=only_if_served,
                lease_seconds=self._lease_seconds,
            )

        return self._alone(give_back)

    def give_back(self, runs: Sequence[StepRun]) -> None:
        """Release what may still be ours after results were dropped, so that nobody waits for the lease."""
        with self._client.database.connection() as connection:
            claims = [(run.claim.id, run.claim.run) for run in runs]
            rows = release(connection, claims, ring_seconds=self._ring_seconds)
            if len(rows) < len(claims):
                acquit(connection, claims)
        self._client.publish(rows)

    def _commit(self, claim: Claim, decision: Decision) -> Settled:
        match decision:
            case StepCommit(_, committed, in_place):
                row = self._persistently(lambda: self._combiners.checkpoint(decision))
                if in_place and row["status"] == "running":  # else it was paused meanwhile
                    return Settled(row, "succeeded", next_claim=claim.followed_by(row, committed.arguments))
                return Settled(row, "succeeded")
            case Finish():
                if claim.row["parent_id"] is None:
                    row = self._persistently(lambda: self._combiners.complete(decision))
                    return Settled(row, "succeeded", changed=[row])
                row, others = self._persistently(lambda: self._combiners.complete_child(decision))
                return Settled(row, "succeeded", changed=[row, *others])
            case WaitForSignals():
                row = self._transaction(lambda c: self._wait(c, claim, decision))
                return Settled(row, "succeeded", changed=[row])
            case SleepUntil(committed, timer):
                row = self._alone(lambda c: sleep_until(c, claim, committed, seconds=timer.seconds, until=timer.until))
                return Settled(row, "succeeded", changed=[row])
            case ParkFor():
                row = self._transaction(lambda c: self._park(c, claim, decision))
                return Settled(row, "parked", changed=[row])
            case Spawn():
                return self._spawn(claim, decision)
            case RetryAfter(seconds, info, cause, progress, calls):
                row = self._alone(lambda c: retry(c, claim, info, seconds, progress=progress, calls=calls))
                return Settled(row, "retried", cause, changed=[row])
            case EndWith(info, traceback, cause, calls):
                return self._end(claim, lambda c: fail(c, claim, info, traceback=traceback, calls=calls), cause)
            case Undone(failure, cause):
                undoing = Undoing.from_row(claim.row)
                return self._end(
                    claim, lambda c: undone(c, undoing, failure=failure, ring_seconds=self._ring_seconds), cause
                )
            case Drop(reason):
                raise reason

    def _wait(self, connection: Connection, claim: Claim, decision: WaitForSignals) -> Row:
        """Wait, within a transaction; signals that came early are refused where the next step does not take them."""
        directive = decision.directive
        lock_owned(connection, claim)
        for kept in inbox(connection, claim.id, directive.names, decision.wait_ids):
            if why := decision.step.refusal(kept["payload"]):
                refuse(connection, claim.id, kept["seq"], NOT_SHOWN if claim.row["sensitive"] else why)
        row = wait(
            connection,
            claim,
            decision.committed,
            directive.names,
            wait_ids=decision.wait_ids,
            all_of_them=directive.all,
            timeout=directive.timeout,
            on_timeout=decision.on_timeout,
            ring_seconds=self._ring_seconds,
        )
        reached("written")
        return row

    def _park(self, connection: Connection, claim: Claim, decision: ParkFor) -> Row:
        """Park the step, within a transaction; a signal that came meanwhile, or an end of children, wakes it again."""
        parked = park(connection, claim, decision.waits, progress=decision.progress)
        reached("halfway")
        row = deliver(connection, claim.id, ring_seconds=self._ring_seconds)
        if calls := [wait.record.ordinal for wait in decision.waits if wait.shown["kind"] == "children"]:
            row = row or join_met(connection, claim.id, calls, ring_seconds=self._ring_seconds)
        reached("written")
        return row or parked

    def _spawn(self, claim: Claim, decision: Spawn) -> Settled:
        directive = decision.directive
        row = self._alone(lambda connection: found(connection, claim))  # children that it spawned itself may live on
        spent = replace(spend_of(row), seconds=decision.seconds)
        spawned = self._spawning.spawn(claim, directive, spent, reserved_of(row))

        def spawn(connection: Connection) -> tuple[Row, list[Row]]:
            rows = fan_out(
                connection,
                claim,
                decision.committed,
                spawned.children,
                on_child_failure=directive.on_child_failure,
                reserve_seconds=spawned.reserve_seconds,
                clamped=spawned.clamped,
                ring_seconds=self._ring_seconds,
            )
            reached("written")
            return rows

        parent, children = self._transaction(spawn)
        return Settled(parent, "succeeded", changed=[parent, *children])

    def _end(self, claim: Claim, transition: Callable[[Connection], Row], cause: BaseException | None) -> Settled:
        """Run a transition that may end the task, and in the same commit its children, and join its parent."""
        name = "succeeded" if cause is None else "failed"
        above = [] if claim.row["parent_id"] is None else [claim.id]
        (row,), others = self._transaction(
            lambda connection: end(connection, lambda c: [transition(c)], ring_seconds=self._ring_seconds, above=above)
        )
        return Settled(row, name, cause, changed=[row, *others])

    def _transaction(self, transition: Callable[[Connection], T]) -> T:
        def run(connection: Connection) -> T:
            with connection.transaction():
                return transition(connection)

        return self._alone(run)

    def _alone(self, transition: Callable[[Connection], T]) -> T:
        """Run a fenced transition that goes in no batch."""

        def run() -> T:
            with self._client.database.connection() as connection:
                return transition(connection)

        return self._persistently(run)

    def _persistently(self, commit: Callable[[], T]) -> T:
        """Commit by a fenced transition. A COMMIT whose reply was lost may have happened: the fence makes it safe to
        repeat, and then it raises LeaseLost. A deadlock that Postgres resolved is repeated, too. The lease's time
        counts from the first failure: an answer that never came may have been waited for longer than that."""
        until: float | None = None
        wait = 0.05
        while True:
            try:
                return commit()
            except Transient as error:
                until = until or monotonic() + self._lease_seconds
                if monotonic() > until:
                    raise DatabaseAway(str(error)) from error
                sleep(wait)
                wait = min(wait * 2, _SLOWEST_SECONDS)
