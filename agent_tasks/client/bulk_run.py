"""The run of a bulk operation, in batches, each a transaction that also notes how far it has come."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

from agent_tasks.client.bulk import Bulk, BulkOperation, BulkProblem, bulk_not_found
from agent_tasks.client.bulk_operations import COLUMNS, OPERATIONS, Setting
from agent_tasks.deployment import Deployment
from agent_tasks.moments import reached
from agent_tasks.storable import storable
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention, Transient
from agent_tasks.store.queries import search
from agent_tasks.store.rows import Row
from agent_tasks.task.identity import Identity
from agent_tasks.task.task_filter import TaskFilter
from agent_tasks.transitions import bulk as bulk_rows

BATCH = 1_000
"""Tasks of one transaction."""
SLOW_BATCH = 100
"""Of those that are changed one by one."""
_ONE_BY_ONE = ("resume", "signal")
_TRIES = 10
"""Batches that met rivals, one after the other, before a sweep is left to go on."""
_PAUSE_SECONDS = 0.2
Progress = Callable[[Bulk], None]
"""Is told how far an operation has come, after each of its batches."""


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
            raise bulk_not_found(id)
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


def count_bulk(
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


def _identity(kept: dict[str, Any] | None) -> Identity | None:
    return Identity.model_validate(kept) if kept else None
