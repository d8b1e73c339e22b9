"""The feed: what happened in a tenant, in one order, for whoever was not told."""

import struct
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.cursors import cursor, microseconds_of, place_of, time_of
from agent_tasks.client.listing import LARGEST_PAGE
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput
from agent_tasks.store.queries import feed
from agent_tasks.task.arguments import check_names, check_whole
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.webhook_event import event_id, told

KIND = "feed"
_PLACE = struct.Struct(">QqQ")
"""A transaction, an event of it, and up to when all has been read, in microseconds."""


class FeedEvent(BaseModel):
    """One event, as a webhook tells of it."""

    model_config = ConfigDict(frozen=True)

    id: str
    """The `webhook-id` of its deliveries."""
    type: str
    """As in `task.completed`, or a name that the agent gave to `ctx.emit`."""
    timestamp: datetime
    """The time of the event."""
    data: dict[str, Any]
    """The task's id, agent, status, version and link, and the event's `sequence` in its history."""


class FeedPage(BaseModel):
    """Some events of the feed, in order."""

    model_config = ConfigDict(frozen=True)

    events: list[FeedEvent]
    next: str
    """From where to go on, now or later: `feed(after=…)`."""
    more: bool
    """Whether there is more to be read right now; a page can be short, or empty, all the same."""


def read_feed(
    deployment: Deployment, *, after: str | None, tenant: str | None, limit: int, identity: Identity | None
) -> FeedPage:
    """Do what `AgentTasks.webhooks.feed` does. Raises InvalidInput."""
    check_names(tenant=tenant)
    check_identity(identity)
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    place, seen_until = (feed.OLDEST, None) if after is None else cursor_place(after)
    if tenant is None:
        tenant = identity.tenant if identity is not None else ""
    with deployment.database.connection() as connection:
        found = feed.events(connection, tenant, identity, after=place, limit=limit)
    if seen_until is not None:
        _check_kept(seen_until, found.now - timedelta(seconds=deployment.settings.delivery_seconds))
    url = deployment.settings.public_url
    return FeedPage(
        events=[_event(row, url) for row in found.rows],
        next=_cursor(found.next, found.read_until),
        more=found.read_until < found.now,
    )


def cursor_place(given: str, field: str = "after") -> tuple[feed.Place, datetime]:
    """Return the place that a cursor of the feed stands for, and up to when its reader had read all."""
    xid, id, microseconds = _PLACE.unpack(place_of(KIND, given, _PLACE.size, field))
    return (xid, id), time_of(microseconds)


def _cursor(place: feed.Place, read_until: datetime) -> str:
    return cursor(KIND, _PLACE.pack(*place, microseconds_of(read_until)))


def _check_kept(seen_until: datetime, kept_since: datetime) -> None:
    if seen_until < kept_since:
        raise InvalidInput(
            f"after= is of {seen_until:%Y-%m-%d %H:%M} UTC, and what was before {kept_since:%Y-%m-%d %H:%M} may be "
            "deleted (AGENT_TASKS_DELIVERY_SECONDS). Leave it out to begin with the oldest event, and look at the "
            "tasks themselves for what was before.",
            field="after",
            expired=True,
        )


def _event(row: feed.EventRow, public_url: str) -> FeedEvent:
    body = told(
        type=row["type"],
        at=row["at"],
        task_id=row["task_id"],
        seq=row["seq"],
        agent=row["agent"],
        status=row["status"],
        version=row["version"],
        data=row["data"],
        public_url=public_url,
    )
    return FeedEvent(id=event_id(row["task_id"], row["seq"], row["id"]), **body)
