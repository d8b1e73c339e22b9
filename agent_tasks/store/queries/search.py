"""Finding tasks by a filter, a page at a time, along the index that passes over the most of the others."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.queries.condition import EVERY, NEWEST, WITH_ERRORS, Condition, Way, anded
from agent_tasks.store.queries.walk import LOOKED_AT
from agent_tasks.store.rows import SNAPSHOT, Row
from agent_tasks.task.identity import Identity
from agent_tasks.task.task_filter import TaskFilter

FEW = 1_000
"""Tasks of one condition that are all looked at."""
_WORDS_LOOKED_AT = 2_000
"""Errors whose words are read for one page at the most: each takes longer than a column."""
_LAST: datetime = datetime(9_999, 12, 31, tzinfo=UTC)

_PAGE: LiteralString = """
    WITH page AS (
        SELECT {columns} FROM (SELECT tasks.* FROM {rows_from} WHERE {along} {order} {limit}) AS tasks
        WHERE true{asked} ORDER BY {by} LIMIT %(limit)s
    ), counted AS (
        SELECT count(*) AS rows FROM page
    )
    SELECT edge.at AS edge_at, edge.id AS edge_id, page.*
    FROM counted LEFT JOIN LATERAL ({edge}) AS edge ON true LEFT JOIN page ON true ORDER BY {page_by}
"""
_EDGE: LiteralString = """
    SELECT {at} AS at, {id} AS id FROM {ids_from} WHERE counted.rows < %(limit)s AND {along} {order}
    OFFSET (SELECT %(looked_at)s::int - 1) LIMIT 1
"""
_NO_EDGE: LiteralString = "SELECT NULL::timestamptz AS at, NULL::uuid AS id"
# How many is hidden from the planner, which would rather read and sort all of a table that has few more.
_LIMIT: LiteralString = "LIMIT (SELECT %(looked_at)s::int)"
_BY_ID: LiteralString = "tasks.id DESC"
_BY_END: LiteralString = "tasks.finished_at DESC NULLS LAST, tasks.id DESC"

# Where each way has come to after so many: null where there are fewer.
_REACHED: LiteralString = """
    SELECT '{name}' AS name, (SELECT {id} FROM {ids_from} WHERE {along} ORDER BY {id} DESC
        OFFSET (SELECT %(few)s::int - 1) LIMIT 1) AS reached
"""
# Without an order how many is no secret: the planner, which expects few, takes the index rather than the table.
_FOUND: LiteralString = """
    SELECT '{name}' AS name, (SELECT '{newest}'::uuid FROM (
        SELECT FROM {ids_from} WHERE {along} LIMIT %(few)s) AS found HAVING count(*) >= %(few)s) AS reached
"""


@dataclass(frozen=True)
class Place:
    """Where a page ended: the next one goes on below it."""

    id: UUID
    at: datetime | None = None
    """When that task ended, where the order is that of the ends."""


class FoundRow(Row):
    """A task that was found, and where the look ended if the page is not full."""

    edge_at: datetime | None
    edge_id: UUID | None


class _ReachedRow(TypedDict):
    name: str
    reached: UUID | None


@dataclass(frozen=True)
class Found:
    """Tasks that are what was asked for, and where to go on; None where there are no more."""

    rows: list[Row]
    next: Place | None


def tasks(
    connection: Connection,
    wanted: TaskFilter,
    *,
    identity: Identity | None = None,
    after: Place | None = None,
    limit: int = 100,
    looked_at: int = LOOKED_AT,
    few: int = FEW,
    columns: LiteralString = SNAPSHOT,
) -> Found:
    """Find the newest tasks of the filter that `identity` may see; with times of the end, those that ended last.

    Each condition that has an index is asked how far back so many of its tasks reach: the one with the fewest is
    followed, and at most `looked_at` of its tasks are looked at. So a page may have fewer than `limit` while there are
    more. `columns` have the `id`, and of those that have ended `finished_at`.
    """
    condition = Condition(wanted, identity)
    condition.settle(connection)
    if after is not None and after.at is None:
        condition.values["below"] = min(condition.values["below"], after.id)
    way, is_whole = _choose(connection, condition, few)
    sql = _statement(condition, way, columns, is_whole=is_whole)
    if way is WITH_ERRORS:
        looked_at = min(looked_at, _WORDS_LOOKED_AT)
    values = {
        **condition.values,
        "limit": limit + 1,
        "looked_at": looked_at,
        "after_at": _LAST if after is None or after.at is None else after.at,
        "after_id": NEWEST if after is None else after.id,
    }
    found: list[FoundRow] = connection.execute(sql, values, prepare=False).fetchall()
    rows: list[Row] = [row for row in found if row["id"] is not None]  # pyright: ignore[reportUnnecessaryComparison]
    if len(rows) > limit:
        last = rows[limit - 1]
        return Found(rows[:limit], Place(last["id"], last["finished_at"] if wanted.is_of_ended else None))
    edge = found[0]
    return Found(rows, None if edge["edge_id"] is None else Place(edge["edge_id"], edge["edge_at"]))


def _choose(connection: Connection, condition: Condition, few: int) -> tuple[Way | None, bool]:
    """Return the way to follow, None for the order of the ends; and whether all of its tasks are so few."""
    ways = condition.ways()
    by_end = condition.wanted.is_of_ended
    if not by_end and (not ways or (len(ways) == 1 and ways[0].is_ordered)):
        return (ways[0] if ways else EVERY), False
    if not ways:
        return None, False
    sql = " UNION ALL ".join(
        (_REACHED if way.is_ordered else _FOUND).format(
            name=_NUMBERS[number], id=way.id, ids_from=way.ids_from, along=way.condition, newest=_NEWEST
        )
        for number, way in enumerate(ways)
    )
    rows: list[_ReachedRow] = connection.execute(sql, {**condition.values, "few": few}, prepare=False).fetchall()
    reached = {ways[int(row["name"])]: row["reached"] for row in rows}
    for way in ways:
        if reached[way] is None:
            return way, by_end or not way.is_ordered
    if by_end:
        return None, False
    ordered = [way for way in ways if way.is_ordered]
    if not ordered:
        return (WITH_ERRORS if condition.wanted.words else EVERY), False
    return min(ordered, key=lambda way: reached[way] or NEWEST), False


_NEWEST: LiteralString = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_NUMBERS: tuple[LiteralString, ...] = (
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
)  # fmt: skip


def _statement(condition: Condition, way: Way | None, columns: LiteralString, *, is_whole: bool) -> LiteralString:
    by_end = condition.wanted.is_of_ended
    by = _BY_END if by_end else _BY_ID
    page_by = by.replace("tasks.", "page.")
    rest: LiteralString = " AND (tasks.finished_at, tasks.id) < (%(after_at)s, %(after_id)s)" if by_end else ""
    bounds: LiteralString = " AND tasks.id < %(below)s AND tasks.id >= %(above)s"
    if way is None:
        ends = [name for name in condition.parts if name.startswith("ended_")]
        along: LiteralString = "true" + anded(condition.parts[name] for name in ends) + rest
        order: LiteralString = f"ORDER BY {_BY_END}"
        edge = _EDGE.format(
            at="tasks.finished_at", id="tasks.id", ids_from="agent_tasks.tasks", along=along, order=order
        )
        asked = anded(part for name, part in condition.parts.items() if name not in ends) + bounds
        return _PAGE.format(
            columns=columns, rows_from="agent_tasks.tasks", along=along, order=order, limit=_LIMIT, asked=asked,
            by=by, edge=edge, page_by=page_by,
        )  # fmt: skip
    order = f"ORDER BY {way.id} DESC" if way.is_ordered else ""
    asked = condition.asked(way) + rest
    if not way.is_ordered:
        asked += bounds
    edge = _NO_EDGE
    if not is_whole:
        edge = _EDGE.format(at="NULL::timestamptz", id=way.id, ids_from=way.ids_from, along=way.condition, order=order)
    return _PAGE.format(
        columns=columns, rows_from=way.rows_from, along=way.condition, order=order,
        limit="OFFSET 0" if is_whole else _LIMIT, asked=asked, by=by, edge=edge, page_by=page_by,
    )  # fmt: skip
