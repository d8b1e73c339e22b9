"""Finding tasks: a page of those that are asked for, the newest first."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.cursors import cursor, microseconds_of, place_of, time_of
from agent_tasks.client.serving import with_obstacles
from agent_tasks.deployment import Deployment
from agent_tasks.store.access import may_see, viewer_of
from agent_tasks.store.queries import read, search
from agent_tasks.task.arguments import check_whole
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.task_filter import TaskFilter

LARGEST_PAGE = 1_000
_KIND = "search"
_BY_END = "search by times of the end"


class Page(BaseModel):
    """One page of `AgentTasks.search`."""

    model_config = ConfigDict(frozen=True)

    tasks: list[TaskSnapshot]
    """The tasks that match, the newest first; where times of the end were asked for, those that ended last first."""
    next: str | None
    """The cursor of the next page, for `search(after=…)`; None on the last one. A short or empty page may have one."""


def find_tasks(
    deployment: Deployment, wanted: TaskFilter, *, limit: int, after: str | None, identity: Identity | None
) -> Page:
    """Do what `AgentTasks.search` does. Raises InvalidInput."""
    check_identity(identity)
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    place = None if after is None else _place_in(wanted, after)
    viewer = viewer_of(identity)
    with deployment.database.connection() as connection:
        found = search.tasks(connection, wanted, identity=viewer, after=place, limit=limit)
        tasks = with_obstacles(deployment, connection, TaskSnapshot.from_rows(found.rows), viewer)
    return Page(tasks=tasks, next=found.next and _cursor_to(found.next))


def find_children(
    deployment: Deployment, parent_id: UUID, *, limit: int, after: str | None, identity: Identity | None
) -> Page:
    """Raise InvalidInput for a limit or a cursor that is none."""
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    place = None if after is None else _place_of(after)
    with deployment.database.connection() as connection:
        rows = read.page_of_children(connection, parent_id, place, limit)
        seen = [row for row in rows if may_see(identity, row)]
        tasks = with_obstacles(deployment, connection, TaskSnapshot.from_rows(seen), identity)
    return Page(tasks=tasks, next=_cursor(rows[-1]["id"]) if len(rows) == limit else None)


def _cursor(place: UUID) -> str:
    return cursor(_KIND, place.bytes)


def _place_of(given: str) -> UUID:
    return UUID(bytes=place_of(_KIND, given, 16))


def _cursor_to(place: search.Place) -> str:
    if place.at is None:
        return _cursor(place.id)
    return cursor(_BY_END, microseconds_of(place.at).to_bytes(8, "big", signed=True) + place.id.bytes)


def _place_in(wanted: TaskFilter, given: str) -> search.Place:
    if not wanted.is_of_ended:
        return search.Place(_place_of(given))
    place = place_of(_BY_END, given, 24)
    return search.Place(UUID(bytes=place[8:]), time_of(int.from_bytes(place[:8], "big", signed=True)))
