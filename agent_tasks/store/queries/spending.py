"""No arrow: summing up what was charged, from the history of tasks, in which each charge is once."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import LiteralString, TypedDict

from agent_tasks.store.access import MAY_SEE, viewer
from agent_tasks.store.database import Connection
from agent_tasks.task.identity import Identity

KEYS: dict[str, tuple[LiteralString, LiteralString]] = {
    "agent": ("agent", "tasks.agent"),
    "tenant": ("tenant", "tasks.tenant"),
    "subject": ("subject", "tasks.identity ->> 'subject'"),
    "model": ("model", "events.data ->> 'model'"),
    "day": ("day", "(events.at AT TIME ZONE 'UTC')::date"),
}
"""What can be summed up by: the column, and what it is."""
_CONDITIONS: dict[str, LiteralString] = {
    "agent": "tasks.agent = %(agent)s",
    "tenant": "tasks.tenant = %(tenant)s",
    "subject": "tasks.identity ->> 'subject' = %(subject)s",
    "model": "events.data ->> 'model' = %(model)s",
}
_BEGAN: LiteralString = "date_trunc('day', clock_timestamp(), 'UTC')"
_SINCE = f"SELECT coalesce(clock_timestamp() - %(ago)s::interval, {_BEGAN}) AS since"

_SUMS: LiteralString = """
    SELECT {columns}count(DISTINCT events.task_id) AS tasks, count(*) AS charges,
        least(sum(coalesce((events.data ->> 'tokens')::numeric, 0)), 9223372036854775807)::bigint AS tokens,
        least(sum(coalesce((events.data ->> 'usd')::numeric, 0)), 1e300)::float8 AS usd
    FROM agent_tasks.events, LATERAL (
        SELECT agent, tenant, identity FROM agent_tasks.tasks WHERE id = events.task_id OFFSET 0) AS tasks
    WHERE events.type = 'charged' AND events.at >= %(since)s
        AND events.at < coalesce(%(until)s::timestamptz, 'infinity') AND {may_see}{asked}
    GROUP BY {keys} HAVING count(*) > 0 ORDER BY usd DESC, tokens DESC{then} LIMIT %(limit)s
"""


class SpentRow(TypedDict, total=False):
    """A sum; of `KEYS`, those by which it is."""

    agent: str
    tenant: str
    subject: str | None
    model: str | None
    day: date
    tasks: int
    charges: int
    tokens: int
    usd: float


def ago(connection: Connection, how_long: timedelta | None) -> datetime:
    """The time so long ago; with None when the day began (UTC)."""
    row = connection.execute(_SINCE, {"ago": how_long}).fetchone()
    assert row is not None
    return row["since"]


def sums(
    connection: Connection,
    by: Sequence[str],
    *,
    since: datetime,
    until: datetime | None,
    limit: int,
    identity: Identity | None,
    **asked: str | None,
) -> list[SpentRow]:
    """Sum up charges of tasks that `identity` may see, by these of `KEYS`, the most first."""
    given = {name: value for name, value in asked.items() if value is not None}
    keys = [KEYS[name] for name in by]
    sql = _SUMS.format(
        columns="".join(f"{expression} AS {name}, " for name, expression in keys),
        may_see=MAY_SEE,
        asked="".join(f" AND {_CONDITIONS[name]}" for name in given),
        keys=", ".join(expression for _, expression in keys) or "()",
        then="".join(f", {expression}" for _, expression in keys),
    )
    values = {"since": since, "until": until, "limit": limit, **viewer(identity), **given}
    return connection.execute(sql, values, prepare=False).fetchall()
