"""Replays: events that are delivered to an endpoint once more."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Literal, get_args
from uuid import UUID

from agent_tasks.client.delivery import Delivery, as_delivery_id, not_found
from agent_tasks.client.feed import cursor_place
from agent_tasks.deployment import Deployment
from agent_tasks.errors import AgentTaskError, InvalidState, TaskNotFound
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import deliveries as queries
from agent_tasks.store.queries.feed import Place
from agent_tasks.task.arguments import check_kind, check_names, check_text, refused, shown
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.transitions import audit, replay
from agent_tasks.transitions.delivery import LEASE_TIMES
from agent_tasks.transitions.replay import Bounds, NotReplayed

Only = Literal["failed", "all"]
"""What of a range is delivered again: what has not come to the endpoint, or everything."""
Bound = datetime | str
"""An end of a range: a time with a zone, or a cursor of the feed."""


def replay_one(deployment: Deployment, id: UUID | str, identity: Identity | None) -> Delivery:
    """Do what `AgentTasks.webhooks.replay` does. Raises TaskNotFound, InvalidState."""
    check_identity(identity)
    given = as_delivery_id(id)
    lease = _lease_seconds(deployment)
    made = deployment.database.run(lambda c: replay.replay(c, given, identity, lease_seconds=lease))
    if isinstance(made, NotReplayed):
        raise _refusal(made, given)
    with deployment.database.connection() as connection:
        row = queries.delivery(connection, made, identity)
    if row is None:  # it was deleted meanwhile
        raise not_found(made)
    return Delivery.from_row(row)


def replay_range(
    deployment: Deployment,
    webhook: str,
    *,
    after: Bound | None,
    until: Bound | None,
    only: Only,
    tenant: str | None,
    identity: Identity | None,
) -> int:
    """Do what `AgentTasks.webhooks.replay_range` does. Raises InvalidInput, TaskNotFound, InvalidState."""
    check_text(webhook, "webhook", 200)
    check_names(tenant=tenant)
    check_identity(identity)
    if only not in get_args(Only):
        raise refused("only must be failed or all", only, "only")
    if tenant is None:
        tenant = identity.tenant if identity is not None else ""
    done, bounds = 0, _bounds(after, until)
    while True:
        some = partial(_replay_some, tenant=tenant, webhook=webhook, bounds=bounds, only=only, identity=identity)
        some = partial(some, lease_seconds=_lease_seconds(deployment))
        count, place = deployment.database.run(partial(some, is_first=not done))
        done += count
        if place is None:
            return done
        bounds = replace(bounds, after=place)


def _replay_some(
    connection: Connection,
    *,
    tenant: str,
    webhook: str,
    bounds: Bounds,
    only: Only,
    identity: Identity | None,
    is_first: bool,
    lease_seconds: float,
) -> tuple[int, Place | None]:
    """Deliver some of a range again, in a transaction; returns how many, and from where to go on."""
    target = replay.endpoint(connection, tenant, webhook, identity)
    if target is None:
        raise TaskNotFound(f"No endpoint is named {shown(webhook)}, or it belongs to another.", field="webhook")
    if target["is_disabled"]:
        raise InvalidState(f"The endpoint {shown(webhook)} is disabled. Enable it first.", why="disabled")
    again = only == "all"
    count, place = replay.replay_some(connection, tenant, target, bounds, again=again, lease_seconds=lease_seconds)
    if count or (is_first and place is None):
        data = {"only": only, "deliveries": count}
        audit.write(connection, "replay_deliveries", identity, target=webhook, data=data)
    return count, place


def _lease_seconds(deployment: Deployment) -> float:
    """Return how long a delivery may be on its way."""
    return LEASE_TIMES * deployment.settings.webhook_seconds


def _bounds(after: Bound | None, until: Bound | None) -> Bounds:
    since, before = _time(after, "after"), _time(until, "until")
    return Bounds(
        after=None if after is None or since else cursor_place(str(after), "after")[0],
        until=None if until is None or before else cursor_place(str(until), "until")[0],
        since=since,
        before=before,
    )


def _time(given: Any, field: str) -> datetime | None:
    """Return the time that is given; None where it is a cursor, or nothing. Raises InvalidInput."""
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given)
        except ValueError:
            return None
    check_kind(given, field, datetime, "a time, or a cursor of the feed")
    if given is not None and given.tzinfo is None:
        raise refused(f"{field} must have a time zone, as in 2026-11-27T09:00:00Z", given.isoformat(), field)
    return given


def _refusal(why: NotReplayed, id: UUID) -> AgentTaskError:
    if why == NotReplayed.UNKNOWN:
        return not_found(id)
    said = {
        NotReplayed.REMOVED: "its endpoint was removed. Register one, and replay a range to it.",
        NotReplayed.DISABLED: "its endpoint is disabled. Enable it first.",
        NotReplayed.GONE: "its receiver has answered that it is there no more (410).",
        NotReplayed.DELETED: "its event is kept no more (AGENT_TASKS_DELIVERY_SECONDS). Look at the task itself.",
    }
    return InvalidState(f"The delivery {id} cannot be made again: {said[why]}", why=str(why))
