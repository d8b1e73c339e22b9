"""The request for a bulk operation: what is asked for, checked, and begun once for each idempotency key."""

import hashlib
import json
from dataclasses import asdict
from typing import Any, get_args

import uuid_utils.compat as uuid_utils

from agent_tasks.client.bulk import Bulk, BulkOperation
from agent_tasks.client.bulk_run import Progress, count_bulk, run_bulk
from agent_tasks.client.purging import check_may_purge
from agent_tasks.deployment import Deployment
from agent_tasks.errors import IdempotencyConflict, InvalidInput
from agent_tasks.storable import storable
from agent_tasks.store.access import viewer_of
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import read
from agent_tasks.store.queries.condition import settled
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
)
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.origin import current
from agent_tasks.task.task_filter import TaskFilter
from agent_tasks.transitions import audit
from agent_tasks.transitions import bulk as bulk_rows


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
    key: str | None,
) -> Bulk:
    """Do what `AgentTasks.bulk` does; with `waits` false the sweeps do it. Raises what that does."""
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
    if key is not None:
        check_text(key, "idempotency_key", 255)
    if operation == "purge":
        check_may_purge(identity)
    viewer = viewer_of(identity)
    kept = _options(deployment, operation, options)
    digest = _digest(operation, wanted, kept, limit, viewer)
    with deployment.database.connection() as connection:
        wanted = settled(connection, wanted)
        problems = _of_the_whole(deployment, connection, operation, kept)
    if dry_run:
        return count_bulk(deployment, operation, wanted, kept, limit, viewer, progress, problems)
    told = {"id": str(id := uuid_utils.uuid7()), "filter": _short(wanted.as_dict()), "limit": limit}
    row = deployment.database.run(
        lambda c: bulk_rows.begin(
            c,
            id,
            operation,
            filter=wanted.as_dict(),
            options=kept,
            problems=problems,
            most=limit,
            identity=viewer,
            asked_by=current().writer(identity),
            seconds=deployment.settings.lease_seconds if waits else 0.0,
            told={name: value for name, value in told.items() if value is not None},
            key=key,
            digest=digest,
            key_seconds=deployment.settings.idempotency_seconds,
        )
    )
    if row["id"] != id and row["request_digest"] != digest:
        raise IdempotencyConflict(
            f"The idempotency key {key!r} was used for another request, bulk operation {row['id']}. Use a new key for "
            "a new request, or repeat the old one unchanged.",
            field="idempotency_key",
            bulk_id=str(row["id"]),
        )
    bulk = Bulk.from_row(row)
    return run_bulk(deployment, bulk, progress) if waits else bulk


def _digest(
    operation: BulkOperation, wanted: TaskFilter, options: dict[str, Any], limit: int | None, viewer: Identity | None
) -> bytes:
    """Return what makes two requests the same: all that was asked for, with spans of time as given, and of whom."""
    seen = viewer and [viewer.tenant, viewer.subject, "tasks:all" in viewer.scopes]
    said = json.dumps([operation, asdict(wanted), options, limit, seen], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).digest()


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
