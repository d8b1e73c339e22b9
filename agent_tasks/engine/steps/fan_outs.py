"""The fan-outs of a step that runs here: children spawned, taken in and cancelled on Postgres."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from agent_tasks.authoring.calls.operations import Awaited
from agent_tasks.authoring.directives import FanOut
from agent_tasks.authoring.handed import ChildOutcome, child_outcomes
from agent_tasks.client.client import AgentTasks
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.steps.calls import DatabaseAway
from agent_tasks.engine.steps.spawning import Spawning, found, left_of
from agent_tasks.engine.steps.waits import StepWaits
from agent_tasks.errors import ContextLost, LeaseLost
from agent_tasks.moments import reached
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries.children import called_children, results
from agent_tasks.store.rows import Row
from agent_tasks.task.allotment import Claimant, divide
from agent_tasks.task.budget import Budget, Spend
from agent_tasks.task.snapshot import budget_of, held_of, reserved_of, spend_of
from agent_tasks.transitions import call_children
from agent_tasks.transitions.call_children import SpawningRow, SpentMeanwhile
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.ledger import RecordedCall


class StepFanOuts(StepWaits):
    """Spawns the children of a call in one transaction with its record, and reads their outcomes when they ended."""

    def __init__(self, client: AgentTasks, claim: Claim, combiners: Combiners, changed: Callable[[UUID], None]) -> None:
        super().__init__(client, claim, combiners, changed)
        self._spawning = Spawning(client)
        self._dividing = threading.Lock()  # gathered fan-outs share what is left one after the other

    def spawn(self, awaited: Awaited, order: int) -> Exception | None:
        record: RecordedCall = awaited.call.record
        self._check()
        if record.status == "started" and record.wait is not None and not record.inherited and record.replay is None:
            return None  # by an earlier run of the step
        directive = awaited.directive
        assert isinstance(directive, FanOut)
        self.begin_wait(awaited)
        try:
            with self._dividing:
                self._spawn(record, directive)
        except (LeaseLost, ContextLost, DatabaseAway):
            raise
        except Transient as error:
            raise self._breaks(DatabaseAway(str(error))) from error
        except Exception as error:  # a validator of the user's may raise anything
            self.note_failure(awaited.call, error, order)
            return error
        self._note_wait(awaited, "started", None)
        return None

    def joined(self, awaited: Awaited) -> list[ChildOutcome]:
        ordinal: int = awaited.call.record.ordinal

        def read_rows(connection: Connection, claim: Claim) -> Any:
            return called_children(connection, claim.id, claim.step_number, ordinal)

        outcomes = child_outcomes(self._durably(lambda: self._do(read_rows)), self.read_results)
        if outcomes:
            outcomes[0].result  # and its neighbours', here, and not on the event loop  # noqa: B018
        return outcomes

    def take_waits(self, waits: Sequence[Awaited], orders: Sequence[int]) -> list[tuple[Awaited, Any, int]]:
        spawned = {awaited.call.record.ordinal: awaited for awaited in waits if awaited.has_children}
        others = [awaited for awaited in waits if not awaited.has_children]
        given = super().take_waits(others, orders) if others else []
        if not spawned:
            return given
        with self._taking:
            left = orders[len(given) :]
            open_ones = [ordinal for ordinal, awaited in spawned.items() if not awaited.is_cancelled]
            taken = self._durably(lambda: self._do(call_children.take, open_ones, left)) if open_ones else []
            for ordinal, order in taken:
                self._note_wait(spawned[ordinal], "completed", order)
        if taken and self.context is not None:
            row = self._row()
            self.context.note_spent(spend_of(row), reserved_of(row))
        joined = [(spawned[ordinal], self.joined(spawned[ordinal]), order) for ordinal, order in taken]
        return [*given, *joined]

    def keep_waits(self, waits: Sequence[Awaited]) -> None:
        if others := [awaited for awaited in waits if not awaited.has_children]:
            super().keep_waits(others)

    def cancel_wait(self, awaited: Awaited) -> None:
        if not awaited.has_children:
            super().cancel_wait(awaited)
            return
        with self._taking:
            awaited.is_cancelled = True
            order = next(self.branches.clock)
            self.cancel_children(awaited.call.record, order)
            awaited.call.record.within = awaited.call.branch
            self._note_wait(awaited, "cancelled", order)

    def cancel_children(self, record: RecordedCall, order: int) -> None:
        """Record that the step does not await the children of this call any more, and cancel them."""
        ring_seconds = self._deployment.settings.ring_seconds
        self._durably(
            lambda: self._deployment.commit(
                lambda c: call_children.cancel(c, self._claim, record, order, ring_seconds=ring_seconds)
            )
        )

    def read_results(self, children: Sequence[UUID]) -> dict[UUID, Any]:
        """The results of some of the children that the step joins."""

        def read() -> dict[UUID, Any]:
            with self._deployment.database.connection() as connection:
                return results(connection, children)

        return self._durably(read)

    def _spawn(self, record: RecordedCall, directive: FanOut) -> None:
        while True:
            with suppress(SpentMeanwhile):  # by another branch, or by a child that ended: what is left is divided anew
                self._spawn_from(self._row(), record, directive)
                return

    def _spawn_from(self, row: Row, record: RecordedCall, directive: FanOut) -> None:
        spent, reserved = replace(spend_of(row), seconds=self._spent().seconds), reserved_of(row) + held_of(row)
        was_there = record.wait is not None  # a fork from this step waits anew
        if record.inherited and record.status == "started" and record.replay is None and was_there:
            write = self._going_on(record, spent, reserved)
        else:
            write = self._spawning_anew(record, directive, spent, reserved)

        def spawn(connection: Connection) -> tuple[SpawningRow, list[Row]]:
            parent, children = write(connection)
            reached("written")
            return parent, [parent, *children]

        parent = self._durably(lambda: self._deployment.commit_for(spawn))
        record.wait, record.inherited = parent["wait"], False
        if self.context is not None:
            self.context.note_spent(spent, reserved_of(parent))

    def _spawning_anew(self, record: RecordedCall, directive: FanOut, spent: Spend, reserved: Spend) -> "_Write":
        spawned = self._spawning.spawn(self._claim, directive, spent, reserved)
        return lambda connection: call_children.spawn(
            connection,
            self._claim,
            record,
            spawned.children,
            on_child_failure=directive.on_child_failure,
            left=spawned.left_seconds,
            reserve_seconds=spawned.reserve_seconds,
            clamped=spawned.clamped,
            ring_seconds=self._deployment.settings.ring_seconds,
        )

    def _going_on(self, record: RecordedCall, spent: Spend, reserved: Spend) -> "_Write":
        """Go on with the children of the task that this one was resumed from, those that had not completed."""
        claim, left = self._claim, left_of(self._claim, spent, reserved)

        def write(connection: Connection) -> tuple[SpawningRow, list[Row]]:
            children = called_children(connection, claim.id, claim.step_number, record.ordinal)
            unfinished = [child for child in children if child["status"] != "completed"]
            reserve = Budget(seconds=record.wait["reserve"] or None)
            shares = divide(left, reserve, [Claimant(asks=budget_of(child)) for child in unfinished])
            return call_children.go_on(
                connection,
                claim,
                record,
                unfinished,
                [share.budget for share in shares],
                left=left.seconds,
                ring_seconds=self._deployment.settings.ring_seconds,
            )

        return write

    def _row(self) -> Row:
        return self._durably(lambda: self._do(found))


_Write = Callable[[Connection], tuple[SpawningRow, list[Row]]]
