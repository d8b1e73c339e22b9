"""What was spent, by agent, tenant, subject, model and day."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput, PermissionDenied
from agent_tasks.store.access import viewer_of
from agent_tasks.store.queries import spending
from agent_tasks.task.arguments import check_names, check_whole, refused
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.task_filter import check_moment

SpendKey = Literal["agent", "tenant", "subject", "model", "day"]
"""What spend can be summed up by."""
MOST_SUMS = 10_000
LONGEST_SPAN = timedelta(days=400)


class Spent(BaseModel):
    """What was charged, of that by which it was summed up; the other keys are None."""

    model_config = ConfigDict(frozen=True)

    agent: str | None = None
    tenant: str | None = None
    """The tenant of the tasks; empty: of none."""
    subject: str | None = None
    """Whom the tasks were for; None where they were for nobody."""
    model: str | None = None
    """The model that was paid for; None where a charge named none."""
    day: date | None = None
    """The day of the charges, in UTC."""
    tasks: int
    """How many tasks were charged."""
    charges: int
    """How many charges there were."""
    tokens: int
    usd: float


def sum_up(
    deployment: Deployment,
    by: Sequence[SpendKey] | SpendKey,
    *,
    since: datetime | timedelta | None,
    until: datetime | timedelta | None,
    agent: str | None,
    tenant: str | None,
    subject: str | None,
    model: str | None,
    limit: int,
    identity: Identity | None,
) -> list[Spent]:
    """Do what `AgentTasks.spend` does. Raises InvalidInput, PermissionDenied."""
    keys = [by] if isinstance(by, str) else list(dict.fromkeys(by))
    for key in keys:
        if key not in get_args(SpendKey):
            raise refused(f"by must be of {', '.join(get_args(SpendKey))}", key, "by")
    check_names(agent=agent, tenant=tenant, subject=subject, model=model)
    check_moment(since, "since")
    check_moment(until, "until")
    check_whole(limit, "limit", 1, MOST_SUMS)
    check_identity(identity)
    viewer = viewer_of(identity)
    _check_is_own(viewer, tenant, subject)
    with deployment.database.connection() as connection:
        begin = since if isinstance(since, datetime) else spending.ago(connection, since)
        end = spending.ago(connection, until) if isinstance(until, timedelta) else until
        if end is not None and begin > end:
            raise InvalidInput(
                f"since must be earlier than until, not {begin:%Y-%m-%d %H:%M:%S %Z}; where it is left out, the day's "
                "begin (UTC) is meant.",
                field="since",
            )
        _check_span(begin, end or spending.ago(connection, timedelta(0)))
        rows = spending.sums(
            connection, keys, since=begin, until=end, limit=limit, identity=viewer,
            agent=agent, tenant=tenant, subject=subject, model=model,
        )  # fmt: skip
    return [Spent(**row) for row in rows]


def _check_span(begin: datetime, end: datetime) -> None:
    """Raise InvalidInput where so much would be read that nobody waits for it."""
    if end - begin > LONGEST_SPAN:
        raise InvalidInput(
            f"since and until may be {LONGEST_SPAN.days} days apart at most, not {(end - begin).days:,}: ask for one "
            "part after the other.",
            field="since",
        )


def _check_is_own(identity: Identity | None, tenant: str | None, subject: str | None) -> None:
    """Raise PermissionDenied where another tenant's spend is asked for, or another subject's without `tasks:all`."""
    if identity is None:
        return
    if tenant not in (None, identity.tenant):
        raise PermissionDenied(
            f"{identity.subject!r} may not see what the tenant {tenant!r} spent: only that of its own, "
            f"{identity.tenant!r}.",
            tenant=tenant,
        )
    if subject not in (None, identity.subject) and "tasks:all" not in identity.scopes:
        raise PermissionDenied(
            f"{identity.subject!r} may not see what {subject!r} spent without the scope 'tasks:all'.", subject=subject
        )
