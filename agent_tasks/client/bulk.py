"""Bulk: one operation on all tasks of a filter, in batches, each a transaction that also notes how far it has come."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

import uuid_utils.compat as uuid_utils
from pydantic import BaseModel, ConfigDict

from agent_tasks.client.bulk_operations import COLUMNS, OPERATIONS, Setting
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput, TaskNotFound
from agent_tasks.moments import reached
from agent_tasks.storable import storable
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention, Transient
from agent_tasks.store.queries import read, search
from agent_tasks.store.queries.condition import settled
from agent_tasks.store.rows import Row
from agent_tasks.task import payloads
from agent_tasks.task.arguments import (
    LARGEST_NUMBER,
    check_flag,
    check_kind,
    check_priority,
    check_signal_name,
    check_text,
    check_whole,
    refused,
    shown,
)
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.origin import current
from agent_tasks.task.task_filter import TaskFilter
from agent_tasks.transitions import audit
from agent_tasks.transitions import bulk as bulk_rows

BulkOperation = Literal["cancel", "resume", "signal", "acknowledge", "purge", "prioritise", "move"]
"""What can be done to many tasks at once."""
BATCH = 1_000
"""Tasks of one transaction."""
SLOW_BATCH = 100
"""Of those that are changed one by one."""
_ONE_BY_ONE = ("resume", "signal")
_TRIES = 10
"""Batches that met rivals, one after the other, before a sweep is left to go on."""
_PAUSE_SECONDS = 0.2
Progress = Callable[["Bulk"], None]
"""Is told how far an operation has come, after each of its batches."""


class BulkProblem(BaseModel):
    """Why a task could not be changed."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID | None = None
    """None: it is of the whole: why it has failed, or that nobody takes from the queue of a move."""
    type: str
    message: str


class Bulk(BaseModel):
    """An operation on many tasks, and how far it has come."""

    model_config = ConfigDict(frozen=True)

    id: UUID | None
    """By it the operation is looked at, and stopped; None of a dry run."""
    operation: BulkOperation
    filter: dict[str, Any]
    """What was asked of the tasks; spans of time have become times."""
    status: Literal["dry_run", "running", "done", "stopped", "failed"]
    limit: int | None
    matched: int
    """Tasks of the filter that were looked at."""
    done: int
    """Those that were changed, or would be: not counting what is below them."""
    passed_over: int
    """Those that are in a state in which it does nothing: a cancel of what has ended."""
    failed: int
    """Those that could not be changed."""
    problems: list[BulkProblem]
    """Why, of the first 20."""
    tenant: str
    created_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def from_row(cls, row: bulk_rows.BulkRow) -> "Bulk":
        return cls(**{name: row[_KEPT_AS.get(name, name)] for name in cls.model_fields})


_KEPT_AS = {"limit": "most"}


def begin_bulk(
    deployment: Deployment,
    operation: BulkOperation,
    wanted: TaskFilter,
    *,
    dry_run: bool,
    limit: int | None,
    all: bool,
    options: dict[str, Any],
    identity: Identity | None,
    waits: bool,
    progress: Progress | None,
) -> Bulk:
    """Do what `AgentTasks.bulk` does; with `waits` false the sweeps do it. Raises InvalidInput, UnknownAgent."""
    check_identity(identity)
    if operation not in get_args(BulkOperation):
        raise refused(f"operation must be one of {', '.join(get_args(BulkOperation))}", operation, "operation")
    check_kind(wanted, "filter", TaskFilter, "a TaskFilter")
    check_flag(dry_run, "dry_run")
    check_flag(all, "all")
    if limit is not None:
        check_whole(limit, "limit", 1, LARGEST_NUMBER)
    if wanted.is_empty and not all:
        raise InvalidInput(
            "This filter is true of every task. Say which tasks are meant, or that all of them are: all=True, --all, "
            'or "all": true over HTTP.',
            field="filter",
        )
    kept = _options(deployment, operation, options)
    with deployment.database.connection() as connection:
        wanted = settled(connection, wanted)
        problems = _of_the_whole(deployment, connection, operation, kept)
    if dry_run:
        return _counted(deployment, operation, wanted, kept, limit, identity, progress, problems)
    told = {"id": str(id := uuid_utils.uuid7()), "filter": _short(wanted.as_dict()), "limit": limit}
    bulk = Bulk.from_row(
        deployment.database.run(
            lambda c: bulk_rows.begin(
                c,
                id,
                operation,
                filter=wanted.as_dict(),
                options=kept,
                problems=problems,
                most=limit,
                identity=identity,
                asked_by=current().writer(identity),
                seconds=deployment.settings.lease_seconds if waits else 0.0,
                told={name: value for name, value in told.items() if value is not None},
            )
        )
    )
    return run_bulk(deployment, bulk, progress) if waits else bulk


def _of_the_whole(
    deployment: Deployment, connection: Connection, operation: BulkOperation, options: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return what is to be known before it begins: nobody may take from the queue of a move."""
    if operation != "move":
        return []
    living = read.workers(connection, seconds=deployment.settings.lease_seconds)
    if any(options["to"] in worker["queues"] for worker in living):
        return []
    message = (
        f"No living worker takes from queue {options['to']!r}. Start one: a task that none serves for its TTL is given "
        "up."
    )
    return [{"task_id": None, "type": "no_worker", "message": message}]


def run_bulk(deployment: Deployment, bulk: Bulk, progress: Progress | None = None) -> Bulk:
    """Go on with an operation until it has ended, whoever began it. Raises ServerAway, Contention: a sweep goes on.

    Anything else that is raised ends it as failed.
    """
    id = bulk.id
    assert id is not None
    tries = 0
    _ = deployment.publisher  # first: what it needs may be missing, and then nothing is to be committed
    with ThreadPoolExecutor(1) as beside:  # Redis is told of a batch while Postgres does the next one
        told: Future[None] | None = None
        while bulk.status == "running":
            try:
                bulk, rows = _advance(deployment, id)
                tries = 0
            except Contention:
                if (tries := tries + 1) == _TRIES:
                    raise
                time.sleep(_PAUSE_SECONDS)
                continue
            if told is not None:
                told.result()
            told = beside.submit(deployment.publish, rows)
            if progress is not None:
                progress(bulk)
        if told is not None:
            told.result()
    return bulk


def do_batch(deployment: Deployment, id: UUID) -> Bulk:
    """Do one batch of an operation, and publish it. Raises as `run_bulk` does."""
    bulk, rows = _advance(deployment, id)
    deployment.publish(rows)
    return bulk


def _advance(deployment: Deployment, id: UUID) -> tuple[Bulk, list[Row]]:
    """Do one batch; returns how far the operation has come, and the rows to publish.

    Raises as `run_bulk` does, once what ends the operation is noted.
    """

    def batch(connection: Connection) -> tuple[Bulk, list[Row]]:
        row = bulk_rows.lock(connection, id)
        if row is None:
            raise _not_found(id)
        if row["status"] != "running":
            return Bulk.from_row(row), []
        identity = _identity(row["identity"])
        operation = OPERATIONS[row["operation"]]
        place = None if row["after_id"] is None else search.Place(row["after_id"], row["after_at"])
        size = SLOW_BATCH if row["operation"] in _ONE_BY_ONE else BATCH
        wanted = TaskFilter.from_dict(row["filter"])
        found = search.tasks(connection, wanted, identity=identity, after=place, limit=size, columns=COLUMNS)
        left = None if row["most"] is None else row["most"] - row["done"]
        looked, meant = _cut(found.rows, row["operation"], row["options"], left)
        place = _place(found, looked, wanted)
        setting = Setting(deployment, id, row["options"], identity, _identity(row["asked_by"]))
        work = operation.work(connection, meant, setting) if meant else None
        done, problems = (work.done, work.problems) if work else (0, [])
        moved = bulk_rows.move(
            connection,
            row,
            place,
            matched=looked,
            done=done,
            failed=len(problems),
            problems=problems,
            is_last=place is None or (left is not None and done >= left),
            seconds=deployment.settings.lease_seconds,
        )
        return Bulk.from_row(moved), list(work.rows) if work else []

    try:
        done = deployment.database.run(batch)
        reached("committed")
    except Transient:
        raise
    except Exception as error:
        problem = {"type": type(error).__name__, "message": storable(str(error))[:500]}
        deployment.database.run(lambda c: bulk_rows.end(c, id, "failed", problem=problem))
        raise
    return done


def _cut(rows: list[Row], operation: str, options: dict[str, Any], left: int | None) -> tuple[int, list[Row]]:
    """Return how many of these tasks are looked at, and those among them that are meant, at most so many."""
    meant: list[Row] = []
    for looked, row in enumerate(rows):
        if left is not None and len(meant) == left:
            return looked, meant
        if OPERATIONS[operation].is_meant(row, options):
            meant.append(row)
    return len(rows), meant


def _place(found: search.Found, looked: int, wanted: TaskFilter) -> search.Place | None:
    """Return where to go on once so many of these tasks are looked at; None where there are no more."""
    if looked == len(found.rows):
        return found.next
    last = found.rows[looked - 1]
    return search.Place(last["id"], last["finished_at"] if wanted.is_of_ended else None)


def _counted(
    deployment: Deployment,
    operation: BulkOperation,
    wanted: TaskFilter,
    options: dict[str, Any],
    limit: int | None,
    identity: Identity | None,
    progress: Progress | None,
    problems: list[dict[str, Any]],
) -> Bulk:
    """Count what the operation would do, and change nothing."""
    place: search.Place | None = None
    matched = done = 0
    while True:
        with deployment.database.connection() as connection:
            found = search.tasks(connection, wanted, identity=identity, after=place, limit=BATCH, columns=COLUMNS)
        looked, meant = _cut(found.rows, operation, options, None if limit is None else limit - done)
        matched, done, place = matched + looked, done + len(meant), found.next
        bulk = Bulk(
            id=None, operation=operation, filter=wanted.as_dict(), status="dry_run", limit=limit, matched=matched,
            done=done, passed_over=matched - done, failed=0,
            problems=[BulkProblem(**problem) for problem in problems],
            tenant=identity.tenant if identity else "", created_at=None, finished_at=None,
        )  # fmt: skip
        if progress is not None:
            progress(bulk)
        if place is None or done == limit:
            return bulk


def find_bulk(deployment: Deployment, id: UUID | str, identity: Identity | None) -> Bulk:
    """Do what `AgentTasks.get_bulk` does. Raises TaskNotFound."""
    check_identity(identity)
    with deployment.database.connection() as connection:
        row = bulk_rows.find(connection, given := _as_id(id), identity)
    if row is None:
        raise _not_found(given)
    return Bulk.from_row(row)


def latest_bulks(deployment: Deployment, limit: int, identity: Identity | None) -> list[Bulk]:
    """Do what `AgentTasks.bulks` does. Raises InvalidInput."""
    check_identity(identity)
    check_whole(limit, "limit", 1, 1_000)
    with deployment.database.connection() as connection:
        return [Bulk.from_row(row) for row in bulk_rows.latest(connection, identity, limit)]


def stop_bulk(deployment: Deployment, id: UUID | str, identity: Identity | None) -> Bulk:
    """Do what `AgentTasks.stop_bulk` does. Raises TaskNotFound."""
    check_identity(identity)
    given = _as_id(id)

    def stop(connection: Connection) -> None:
        if bulk_rows.end(connection, given, "stopped", identity=identity) is not None:
            audit.write(connection, "stop_bulk", identity, target=str(given))

    deployment.database.run(stop)
    return find_bulk(deployment, given, identity)


def _options(deployment: Deployment, operation: BulkOperation, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an operation, as they are kept. Raises InvalidInput, PayloadTooLarge."""
    takes = {"cancel": ["reason"], "resume": ["budget"], "signal": ["name", "payload"], "prioritise": ["priority"],
             "move": ["to"]}.get(operation, [])  # fmt: skip
    if others := [name for name, value in given.items() if value is not None and name not in takes]:
        raise InvalidInput(f"{operation} takes no {others[0]}", field=others[0])
    match operation:
        case "cancel":
            reason = given["reason"] if given["reason"] is not None else "cancelled by request"
            if not isinstance(reason, str):
                raise refused("reason must be text", reason, "reason")
            return {"reason": storable(reason)[:4000]}
        case "resume":
            budget: Budget | None = given["budget"]
            check_kind(budget, "budget", Budget, "a Budget(seconds=..., tokens=..., ...)")
            return {"budget": {name: amount for name, amount in (budget or Budget()).as_dict().items() if amount}}
        case "signal":
            check_signal_name(given["name"], "name")
            text = payloads.encode(given["payload"], "payload", limit=deployment.settings.payload_limit)
            return {"name": given["name"], "payload": payloads.stored(text)}
        case "prioritise":
            check_priority(given["priority"])
            return {"priority": given["priority"]}
        case "move":
            check_text(given["to"], "to", 200, printable=True)
            return {"to": given["to"]}
        case _:
            return {}


def _short(filter: dict[str, Any]) -> dict[str, Any]:
    """Return as much of a filter as the audit keeps."""
    return {
        name: {key[:40]: audit.short(str(each)) for key, each in value.items()}
        if isinstance(value, dict)
        else audit.short(str(value))
        for name, value in filter.items()
    }


def _identity(kept: dict[str, Any] | None) -> Identity | None:
    return Identity.model_validate(kept) if kept else None


def _as_id(id: UUID | str) -> UUID:
    try:
        return id if isinstance(id, UUID) else UUID(id)
    except (ValueError, AttributeError, TypeError):
        raise TaskNotFound(f"{shown(id)} is no id of a bulk operation.", field="id") from None


def _not_found(id: UUID) -> TaskNotFound:
    return TaskNotFound(f"No bulk operation {id}: it never was, was deleted with its audit, or belongs to another.")
