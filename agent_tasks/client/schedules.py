"""Schedules: tasks that are submitted again and again, by cron or at an interval."""

from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict

from agent_tasks.authoring.agent import Agent
from agent_tasks.client.missed import reach_back
from agent_tasks.client.serving import shown_by
from agent_tasks.client.submission import Submission, TaskInput
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput, PermissionDenied
from agent_tasks.store.database import Connection
from agent_tasks.task import payloads
from agent_tasks.task.arguments import LONGEST_WAIT, check_names, check_text, refused, shown
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.transitions import schedule as schedule_rows

_KEPT_AS = {"callback_url": "callback"}
"""The names of options in a schedule's row that are not their own."""


CatchUp = Literal["one", "all", "none"]
"""What becomes of missed firings."""
MOST_CAUGHT_UP = 1_000
"""Missed firings that are made up for at the most, the latest."""
LATE_SECONDS = 60.0
"""How late one fires that makes up for none that it has missed: the sweeps look every few seconds."""


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
    catch_up: CatchUp = "one"
    """What becomes of firings that were missed, while it was paused or nothing swept: one for all of them, all (the
    latest 1,000), or none."""
    paused_at: datetime | None = None
    """Since when it is paused; None: it is not."""
    paused_by: str | None = None
    """Who paused it: a subject, or `user@host` of a program, which an identity sees as `the operators`."""
    paused_reason: str | None = None

    @classmethod
    def from_row(cls, row: schedule_rows.ScheduleRow, viewer: Identity | None) -> "Schedule":
        """Build it as `viewer` may see it; None: a trusted program."""
        values = {name: row[name] for name in cls.model_fields}
        if row["paused_by"] is not None:
            values["paused_by"] = shown_by(row["paused_by"], viewer, by_operators=row["paused_tenant"] is None)
        return cls(**values)


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
    catch_up: CatchUp,
    options: dict[str, Any],
) -> Schedule:
    """Create or change a schedule. Raises InvalidInput for a bad argument, UnknownAgent, PermissionDenied."""
    if name is not None:
        check_text(name, "name", 200, printable=True)
    seconds = every.total_seconds() if isinstance(every, timedelta) else every
    _check_rhythm(cron, seconds, timezone)
    if catch_up not in get_args(CatchUp):
        raise refused("catch_up must be one, all or none", catch_up, "catch_up")
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
            catch_up=catch_up,
            identity=identity,
        )
    if row is None:
        raise _taken(name or task.agent, identity)
    return Schedule.from_row(row, identity)


def remove_schedule(deployment: Deployment, name: str, tenant: str | None, identity: Identity | None) -> bool:
    """Delete a schedule; return False if there is none of this name that `identity` may see.

    Raises PermissionDenied where the operators have paused it.
    """
    with deployment.database.connection() as connection:
        of = tenant_of(connection, name, tenant, identity)
        if of is None:
            return False
        removed = schedule_rows.remove(connection, of, name, identity)
        if not removed and schedule_rows.find(connection, of, name, identity, lock=False) is not None:
            raise paused_by_operators(name)
        return removed


def paused_by_operators(name: str) -> PermissionDenied:
    return PermissionDenied(
        f"The schedule {name!r} was paused by the operators of this deployment, who alone may let it go on, or remove "
        "it.",
        schedule=name,
    )


def tenant_of(connection: Connection, name: str, tenant: str | None, identity: Identity | None) -> str | None:
    """Return the tenant of the one schedule that is meant; None where there is none. Raises InvalidInput."""
    check_text(name, "name", 200, printable=True)
    check_names(tenant=tenant)
    check_identity(identity)
    tenants = [t for t in schedule_rows.tenants_with(connection, name, identity) if tenant in (None, t)]
    check_one(name, tenants)
    return tenants[0] if tenants else None


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


def following(row: schedule_rows.DueRow) -> tuple[bool, datetime]:
    """Return whether a schedule that is due fires, and when it is looked at next: what `catch_up` says."""

    def after(last: datetime, now: datetime) -> datetime:
        return next_time(row["cron"], row["every_seconds"], row["timezone"], last, now)

    due, now = row["next_at"], row["now"]
    if row["catch_up"] == "all":
        return True, after(due, max(due, _earliest(row)))
    return row["catch_up"] == "one" or (now - due).total_seconds() <= LATE_SECONDS, after(due, now)


def _earliest(row: schedule_rows.DueRow) -> datetime:
    """Return from when on missed firings are made up for: there are at most so many."""
    now, cron = row["now"], row["cron"]
    if cron is None:
        return now - timedelta(seconds=(row["every_seconds"] or 0) * MOST_CAUGHT_UP)
    zone = ZoneInfo(row["timezone"])
    return reach_back(cron, now.astimezone(zone), row["next_at"].astimezone(zone), MOST_CAUGHT_UP)


def after_pause(row: schedule_rows.DueRow) -> datetime:
    """Return when a schedule that is unpaused now is looked at next: what it has missed does not fire late."""
    if row["catch_up"] != "none" or row["next_at"] > row["now"]:
        return row["next_at"]
    return next_time(row["cron"], row["every_seconds"], row["timezone"], row["next_at"], row["now"])


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
