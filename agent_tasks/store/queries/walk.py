"""Walking down a table from its newest row, along an index and so many rows at a time."""

from collections.abc import Iterable, Mapping
from typing import LiteralString

LOOKED_AT = 10_000
"""Rows that one statement reads at the most, whether they are what is asked for or not."""

# How many is hidden from the planner, which would rather read and sort all of a table that has few more.
# The edge, where the look ends before the page is full, is found in the same statement, and only then: at the same
# moment, so that no row is passed over and none comes twice.
_PAGE: LiteralString = """
    WITH page AS (
        SELECT {columns} FROM (
            SELECT * FROM agent_tasks.{table} WHERE id < %(after)s{along} ORDER BY id DESC
            LIMIT (SELECT %(looked_at)s::int)
        ) AS {table} WHERE true{asked} ORDER BY {table}.id DESC LIMIT %(limit)s
    ), edge AS (
        SELECT CASE WHEN (SELECT count(*) FROM page) < %(limit)s THEN (
            SELECT id FROM agent_tasks.{table} WHERE id < %(after)s{along} ORDER BY id DESC
            OFFSET (SELECT %(looked_at)s::int - 1) LIMIT 1) END AS edge
    )
    SELECT edge.edge, page.* FROM edge LEFT JOIN page ON true ORDER BY page.id DESC
"""


def page(
    table: LiteralString,
    columns: LiteralString,
    conditions: Mapping[str, LiteralString],
    *,
    along: Iterable[str],
    asked: Iterable[str],
) -> LiteralString:
    """Return the statement that finds the `limit` newest rows below `after` for which all conditions named hold.

    Those `along` have an index that goes on by id; those that are `asked` are looked at in at most `looked_at` rows on
    the way. Each row has an `edge`: the last id looked at, where there are fewer than `limit` and perhaps more below;
    where there are none at all, one row has it, and nothing else.
    """
    ways = "".join(f" AND {conditions[name]}" for name in along)
    wanted = "".join(f" AND {conditions[name]}" for name in asked)
    return _PAGE.format(table=table, columns=columns, along=ways, asked=wanted)
