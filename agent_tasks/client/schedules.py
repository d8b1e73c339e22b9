"""Schedules: tasks that are submitted again and again, by cron or at an interval."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict

from agent_tasks.authoring.agent import Agent
from agent_tasks.client.submission import Submission, TaskInput
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput, PermissionDenied
from agent_tasks.task import payloads
from agent_tasks.task.arguments import LONGEST_WAIT, check_names, check_text, refused, shown
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.transitions import schedule as schedule_rows

_KEPT_AS = {"callback_url": "callback"}
"""The names of options in a schedule's row that are not their own."""


class Schedule(BaseModel):
    """A schedule as it stands; times are the database's."""

    model_config = ConfigDict(frozen=True)

    name: str
    tenant: str = ""
    """The tenant of its identity; each tenant has names of its own."""
    agent: str
    cron: str | None = None
    """The cron expression, of five fields, in `timezone`; None for an interval."""
    every_seconds: float | None = None
    """The interval in seconds; None for cron."""
    timezone: str
    next_at: datetime
    """The time of the next task."""
    last_at: datetime | None = None
    """The time of the last task."""
    last_task_id: UUID | None = None
    """The last task's id."""

    @classmethod
    def from_row(cls, row: schedule_rows.ScheduleRow) -> "Schedule":
        return cls(**{name: row[name] for name in cls.model_fields})


def put_schedule(
    deployment: Deployment,
    submission: Submission,
    agent: str | Agent,
    value: TaskInput,
    *,
    name: str | None,
    cron: str | None,
    every: float | timedelta | None,
    timezone: str,
    budget: Budget | None,
    options: dict[str, Any],
) -> Schedule:
    """Create or change a schedule. Raises InvalidInput for a bad argument, UnknownAgent, PermissionDenied."""
    if name is not None:
        check_text(name, "name", 200, printable=True)
    seconds = every.total_seconds() if isinstance(every, timedelta) else every
    _check_rhythm(cron, seconds, timezone)
    if options.get("traceparent") is not None:
        raise InvalidInput("schedule takes no traceparent=: each task starts a trace of its own", field="traceparent")
    task = submission.new_task(submission.find_target(agent), value, budget, **options)
    identity: Identity | None = options.get("identity")
    kept = {
        **{_KEPT_AS.get(key, key): option for key, option in options.items() if option is not None},
        "identity": identity.model_dump(mode="json") if identity else None,
        "budget": {key: amount for key, amount in (budget or Budget()).as_dict().items() if amount is not None},
    }
    with deployment.database.connection() as connection:
        now = schedule_rows.now(connection)
        row = schedule_rows.put(
            connection,
            name=name or task.agent,
            agent=task.agent,
            input=task.input,
            options=payloads.encode(kept, "options"),
            cron=cron,
            every_seconds=seconds,
            timezone=timezone,
            next_at=next_time(cron, seconds, timezone, now, now),
            identity=identity,
        )
    if row is None:
        raise _taken(name or task.agent, identity)
    return Schedule.from_row(row)


def remove_schedule(deployment: Deployment, name: str, tenant: str | None, identity: Identity | None) -> bool:
    """Delete a schedule; return False if there is none of this name that `identity` may see."""
    check_text(name, "name", 200, printable=True)
    check_names(tenant=tenant)
    check_identity(identity)
    with deployment.database.connection() as connection:
        tenants = [t for t in schedule_rows.tenants_with(connection, name, identity) if tenant in (None, t)]
        check_one(name, tenants)
        return bool(tenants) and schedule_rows.remove(connection, tenants[0], name, identity)


def check_one(name: str, tenants: list[str]) -> None:
    """Raise InvalidInput if several tenants have a schedule of this name, and none of them is that of no tenant."""
    if len(tenants) > 1 and "" not in tenants:
        raise InvalidInput(
            f"Several tenants have a schedule named {name!r}: {', '.join(tenants)}. Say which tenant's is meant.",
            field="tenant",
        )


def _taken(name: str, identity: Identity | None) -> PermissionDenied:
    who = identity.subject if identity else None
    return PermissionDenied(
        f"{who!r} may not change the schedule {name!r}: somebody else of the tenant has that name. Use another one, or "
        "ask as its owner, or with the scope 'tasks:all' in the tenant.",
        schedule=name,
    )


def next_time(cron: str | None, every: float | None, timezone: str, last: datetime, now: datetime) -> datetime:
    """Return the first time of the rhythm after `now`; an interval counts on from `last`, so that it does not drift."""
    if cron is not None:
        from croniter import croniter

        times = croniter(cron, now.astimezone(ZoneInfo(timezone)))
        found = times.get_next(datetime)
        while found.fold and "*" not in cron.split()[1]:  # the clocks went back: a fixed hour does not come twice
            found = times.get_next(datetime)
        return found
    assert every is not None
    interval = timedelta(seconds=every)
    return last + interval * (max(0, (now - last) // interval) + 1)


def options_of(row: schedule_rows.ScheduleRow) -> dict[str, Any]:
    """Return the options of `submit` that a schedule's row keeps."""
    options: dict[str, Any] = dict(row["options"])
    identity = options.pop("identity")
    options.pop("callback_url", None)  # of 0.1.0, which called nobody
    given = {name: options.pop(kept) for name, kept in _KEPT_AS.items() if kept in options}
    return {
        **options,
        **given,
        "identity": Identity.model_validate(identity) if identity else None,
        "budget": Budget.from_dict(options.pop("budget")),
    }


def _check_rhythm(cron: str | None, seconds: float | None, timezone: str) -> None:
    if (cron is None) == (seconds is None):
        raise InvalidInput("schedule takes either cron= or every=", field="cron")
    if seconds is not None and (type(seconds) not in (int, float) or not 1 <= seconds <= LONGEST_WAIT):
        raise refused("every= must be seconds, at least 1 and at most a hundred years", seconds, "every")
    check_text(timezone, "timezone", 100, printable=True)
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"No timezone is named {timezone!r}; use a name like Europe/Berlin", field="timezone"
        ) from None
    if cron is not None:
        from croniter import CroniterError, croniter

        check_text(cron, "cron", 200)
        if len(cron.split()) != 5:
            raise refused("cron must have five fields, minute hour day month weekday", cron, "cron")
        try:
            croniter(cron).get_next(datetime)
        except (CroniterError, ValueError, KeyError) as error:
            raise InvalidInput(f"cron={shown(cron)} is not valid: {error}", field="cron") from None
