"""The types of rows: their keys are the columns that the statements return."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import uuid4

import psycopg

from agent_tasks import AgentTasks, AlertRule, Budget
from agent_tasks.authoring.handed import JoinedChildRow
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import alert_values, alerts, audit, catalog, children, doors, read, recording, search
from agent_tasks.task.row import SteppedRow, TaskRow
from agent_tasks.task.task_filter import TaskFilter
from agent_tasks.task.unserved import ServingRow
from agent_tasks.transitions import (
    alert,
    cancel,
    checkpoint,
    expire,
    fence,
    heartbeat,
    idempotency,
    ledger,
    purge,
    release,
    resume,
    ring,
    schedule,
    signal,
)  # fmt: skip
from agent_tasks.transitions.claim import Claim, ClaimRow, Wanted, claim_all, claim_suspect
from agent_tasks.transitions.complete import Finish, complete_all
from agent_tasks.transitions.fence import refusal
from agent_tasks.transitions.join import _JoinRow, join
from agent_tasks.transitions.undo import UndoingRow
from tests.database import begin_call, claimed, commit, emit, end_call, parked
from tests.database.children import BROKEN

CLAIMING = {"worker": "w", "lease_seconds": 60.0}
SCHEDULE = {
    "agent": "echo", "input": "{}", "options": "{}", "cron": None, "every_seconds": 60, "timezone": "UTC",
    "next_at": datetime(2030, 1, 1), "identity": None, "catch_up": "one",
}  # fmt: skip
ALERT = {
    "tenant": "", "name": "a", "everywhere": True, "identity": None, **AlertRule("pending", 1).as_dict(),
}  # fmt: skip
EXPIRY = {"limit": 1, "ring_seconds": 1, "lease_seconds": 1, "poison_crashes": 3}


def joined(connection: Connection, taken: Claim) -> None:
    ended: Any = {"id": taken.id, "parent_id": uuid4(), "finished_at": datetime(2030, 1, 1)}
    ended |= {"children_left": 0, "parent_call": None}
    join(connection, [ended], ring_seconds=1)


def resumed(connection: Connection, taken: Claim) -> None:
    complete_all(connection, [Finish(taken, "1", 0)])
    resume.resume(connection, taken.id, budget=Budget(), ring_seconds=1, from_step=0)


def purged(connection: Connection, taken: Claim) -> None:
    complete_all(connection, [Finish(taken, "1", 0)])
    purge.purge(connection, limit=1, seconds=0)


def out_of_time(connection: Connection, taken: Claim) -> None:
    refusal(connection, taken)


def beaten(connection: Connection, taken: Claim) -> None:
    heartbeat.heartbeat(connection, [(taken.id, taken.run)], lease_seconds=1, seconds=1)


def called(connection: Connection, taken: Claim) -> None:
    begin_call(connection, taken)
    end_call(connection, taken)


def keyed(connection: Connection, taken: Claim) -> None:
    for _ in range(2):
        idempotency.reserve(connection, tenant="", subject="", key="k", digests=[b"d"], task_id=taken.id, seconds=60)


def put_and_checked(connection: Connection, taken: Claim) -> None:
    alert.put(connection, **ALERT)
    due = alert.claim(connection)
    assert due is not None
    measured = alert_values.measured(connection, due, lease_seconds=1)
    alert.check(connection, due, {**measured, "value": 2.0}, "it fires")


CASES: list[tuple[Callable[[Connection, Claim], Any], list[type]]] = [
    (lambda c, taken: read.find(c, taken.id), [TaskRow]),
    (lambda c, taken: read.find_many(c, [taken.id]), [TaskRow]),
    (lambda c, taken: read.living_tasks(c), [read.LivingRow]),
    (lambda c, taken: search.tasks(c, TaskFilter()), [search.FoundRow]),
    (lambda c, taken: doors.pace(c, "echo"), [doors.Pace]),
    (lambda c, taken: audit.entries(c, after=1, limit=1), [audit.FoundRow]),
    (lambda c, taken: catalog.registered_agents(c), [catalog.AgentRow]),
    (lambda c, taken: read.living_tasks(c, status="failed"), [read.LivingRow]),
    (lambda c, taken: read.events(c, taken.id, 0), [read.EventRow]),
    (lambda c, taken: read.workers(c, seconds=1), [read.WorkerRow]),
    (lambda c, taken: read.serving(c, [("a", "b", "c")], lease_seconds=1), [ServingRow]),
    (lambda c, taken: read.steps_ahead(c), [read.StepAheadRow]),
    (lambda c, taken: recording.recording(c, taken.id), [recording.RecordingRow]),
    (lambda c, taken: read.repetition(c, taken.id, 0), [read.RepetitionRow]),
    (lambda c, taken: read.tree_repetition(c, taken.id), [read.TreeRepetitionRow]),
    (lambda c, taken: read.kept(c, taken.id), [read.KeptRow]),
    (lambda c, taken: read.input_hints(c, [taken.id], 9), [read._HintRow]),
    (lambda c, taken: read.children_by_status(c, taken.id), [read._StatusRow]),
    (lambda c, taken: read.suspects(c, queues=[], steps=[]), [read._SuspectRow]),
    (lambda c, taken: children.joined_children(c, taken.id, 1), [JoinedChildRow]),
    (lambda c, taken: children.results(c, [taken.id]), [children._ResultRow]),
    (lambda c, taken: children.usage(c, ["echo"]), [children._UsageRow]),
    (lambda c, taken: claim_all(c, [Wanted(taken.id, "echo", 0)], **CLAIMING), [ClaimRow]),
    (lambda c, taken: claim_suspect(c, suspect=1, queues=[], steps=[], **CLAIMING), [ClaimRow]),
    (commit, [checkpoint._CheckpointRow]),
    (parked, [TaskRow]),
    (lambda c, taken: complete_all(c, [Finish(taken, "1", 0)]), [TaskRow]),
    (out_of_time, [fence._SpentRow]),
    (lambda c, taken: cancel.cancel(c, taken.id, BROKEN), [cancel._LivingRow, TaskRow]),
    (joined, [_JoinRow]),
    (emit, [SteppedRow]),
    (begin_call, [ledger._BegunRow]),
    (called, [ledger._EndedRow]),
    (beaten, [heartbeat._KeptRow]),
    (keyed, [idempotency.KeptRow]),
    (lambda c, taken: expire.expire(c, **EXPIRY), [UndoingRow, TaskRow]),
    (lambda c, taken: expire.died(c, "w"), [expire.DiedRow]),
    (lambda c, taken: release.claims_of(c, ["w"]), [release._ClaimedRow]),
    (lambda c, taken: ring.pending_by_queue(c), [ring._PendingRow]),
    (resumed, [resume._LockedRow, TaskRow]),
    (purged, [purge._PageRow, purge._FreeRow, purge._LockedRow, purge._ResumedRow, purge._DeletedRow]),
    (lambda c, taken: schedule.put(c, name="s", **SCHEDULE), [schedule.ScheduleRow]),
    (lambda c, taken: schedule.all_schedules(c, None), [schedule.ScheduleRow]),
    (lambda c, taken: schedule.due(c, limit=1), [schedule.DueRow]),
    (lambda c, taken: alert.put(c, **ALERT), [alerts.AlertRow]),
    (put_and_checked, [alerts.AlertRow, alert_values.Measured, alert._StateRow]),
    (lambda c, taken: signal.lock(c, taken.id), [TaskRow]),
    (lambda c, taken: signal.inbox(c, taken.id, []), [signal.InboxRow]),
    (lambda c, taken: signal.consumed(c, taken.id, 0), [signal.ConsumedRow]),
    (lambda c, taken: signal.sent(c, taken.id, "once"), [signal.SentRow]),
]


class Noting(psycopg.Cursor[Any]):
    """Notes which columns each statement returned."""

    columns: ClassVar[list[set[str]]] = []

    def execute(self, *args: Any, **options: Any) -> Self:
        result = super().execute(*args, **options)
        self.columns.append({column.name for column in self.description or ()})
        return result


def returned(client: AgentTasks, ask: Callable[[Connection, Claim], Any], taken: Claim) -> list[set[str]]:
    """The columns of the statements by which `ask` does something, which is then undone."""
    Noting.columns.clear()
    with client.database.transaction() as connection:
        connection.cursor_factory = Noting
        try:
            ask(connection, taken)
        finally:
            connection.cursor_factory = psycopg.Cursor
        raise psycopg.Rollback
    return list(Noting.columns)


def test_the_keys_of_each_type_are_the_columns_of_its_statement(client: AgentTasks) -> None:
    taken = claimed(client)
    for ask, kinds in CASES:
        columns = returned(client, ask, taken)
        for kind in kinds:
            assert kind.__required_keys__ in columns, f"{kind.__name__}: {columns}"


def test_the_row_of_a_claim_stays_whole_when_its_step_is_committed(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        row = commit(connection, taken, in_place=True)
    assert row.keys() == ClaimRow.__required_keys__ == taken.row.keys()
