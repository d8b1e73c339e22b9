"""A delivery: what was sent to an endpoint, or is still to be, and what came of it."""

import struct
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.cursors import cursor, microseconds_of, place_of, time_of
from agent_tasks.client.listing import LARGEST_PAGE
from agent_tasks.deployment import Deployment
from agent_tasks.errors import TaskNotFound
from agent_tasks.store.queries import deliveries as queries
from agent_tasks.task.arguments import as_uuid, check_names, check_whole, refused, shown
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.webhook_event import event_id

DeliveryStatus = Literal["pending", "delivered", "failed", "dropped"]
"""What became of a delivery: `pending` until it is delivered, was tried for the last time (`failed`), or is not to be
sent any more (`dropped`), as its endpoint is gone or disabled."""
_KIND = "list of deliveries"
_PLACE = struct.Struct(">Q16s")


class Delivery(BaseModel):
    """One event on its way to one endpoint; times are the database's."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    webhook: str | None
    """The endpoint's name; None for a `callback_url`, and where the endpoint was removed."""
    url: str | None
    """Where it goes; None where the endpoint was removed."""
    event_id: str
    """What is sent as `webhook-id`; a replay of the event has the same."""
    task_id: UUID | None
    """The task that the event is of; None for an event of an endpoint."""
    sequence: int | None
    """The number of the event in the task's history."""
    type: str
    tenant: str
    subject: str | None
    """The person or service the task runs for."""
    status: DeliveryStatus
    attempt: int
    """How often it was sent."""
    due_at: datetime | None
    """The time of the next attempt; None where it is over, or waits for an earlier one of its task."""
    answer: int | None
    """The status that the endpoint answered with, the last time."""
    error: str | None
    """What went wrong, the last time."""
    created_at: datetime
    last_at: datetime | None
    """The time of the last attempt."""
    ended_at: datetime | None

    @classmethod
    def from_row(cls, row: queries.DeliveryRow) -> "Delivery":
        values: dict[str, Any] = {name: row[name] for name in cls.model_fields if name in row}
        id = event_id(row["task_id"], row["seq"], row["outbox_id"])
        return cls(**values, event_id=id, sequence=row["seq"])


class DeliveryPage(BaseModel):
    """One page of deliveries."""

    model_config = ConfigDict(frozen=True)

    deliveries: list[Delivery]
    """Those that match, the newest first."""
    next: str | None
    """The cursor of the next page; None on the last one. A short or empty page may have one."""


def find_deliveries(
    deployment: Deployment,
    *,
    webhook: str | None,
    status: DeliveryStatus | None,
    task_id: UUID | str | None,
    type: str | None,
    tenant: str | None,
    limit: int,
    after: str | None,
    identity: Identity | None,
) -> DeliveryPage:
    """Do what `AgentTasks.webhooks.deliveries` does. Raises InvalidInput, and TaskNotFound for what is no task's id."""
    if status is not None and status not in get_args(DeliveryStatus):
        raise refused(f"status must be one of {', '.join(get_args(DeliveryStatus))}", status, "status")
    check_names(webhook=webhook, type=type, tenant=tenant)
    check_identity(identity)
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    if tenant is None and webhook is not None:  # a name is one tenant's
        tenant = identity.tenant if identity is not None else ""
    with deployment.database.connection() as connection:
        found = queries.deliveries(
            connection,
            identity,
            after=queries.NEWEST if after is None else _place_of(after),
            limit=limit,
            webhook=webhook,
            status=status,
            task_id=None if task_id is None else as_uuid(task_id),
            type=type,
            tenant=tenant,
        )
    return DeliveryPage(
        deliveries=[Delivery.from_row(row) for row in found.rows], next=_cursor(found.next) if found.next else None
    )


def find_delivery(deployment: Deployment, id: UUID | str, identity: Identity | None) -> Delivery:
    """Do what `AgentTasks.webhooks.delivery` does. Raises TaskNotFound."""
    check_identity(identity)
    with deployment.database.connection() as connection:
        row = queries.delivery(connection, as_delivery_id(id), identity)
    if row is None:
        raise not_found(id)
    return Delivery.from_row(row)


def as_delivery_id(value: Any) -> UUID:
    """Return the id of a delivery. Raises TaskNotFound for what is none."""
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise not_found(value) from None


def not_found(id: Any) -> TaskNotFound:
    """Return the error for a delivery that is not there, or that the caller may not see: the same."""
    return TaskNotFound(
        f"No delivery {shown(str(id))}: it never existed, was deleted after its time, or belongs to another.",
        field="id",
    )


def _cursor(place: queries.Place) -> str:
    at, id = place
    return cursor(_KIND, _PLACE.pack(microseconds_of(at), id.bytes))


def _place_of(given: str) -> queries.Place:
    microseconds, id = _PLACE.unpack(place_of(_KIND, given, _PLACE.size))
    return time_of(microseconds), UUID(bytes=id)
