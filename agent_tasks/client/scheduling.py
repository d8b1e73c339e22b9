"""Scheduling: tasks that are submitted again and again."""

from datetime import timedelta
from typing import Unpack

from agent_tasks import metrics
from agent_tasks.authoring.agent import Agent
from agent_tasks.client.accepting import Accepting
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.schedule_levers import pause_schedule, trigger_schedule, unpause_schedule
from agent_tasks.client.schedules import CatchUp, Schedule, put_schedule, remove_schedule
from agent_tasks.client.submission import ScheduleOptions, TaskInput
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.transitions import schedule as schedule_rows


class Scheduling(Accepting):
    """The part of `AgentTasks` that keeps schedules."""

    def schedule(
        self,
        agent: str | Agent,
        input: TaskInput = None,
        *,
        name: str | None = None,
        cron: str | None = None,
        every: float | timedelta | None = None,
        timezone: str = "UTC",
        budget: Budget | None = None,
        catch_up: CatchUp = "one",
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """Submit a task again and again, by `cron` (five fields, in `timezone`) or `every` so many seconds.

        The schedule is kept in Postgres under `name` (default: the agent's); calling this again changes it. `catch_up`
        says what becomes of firings missed while it was paused or nothing swept: `one` for all of them, `all` (at most
        the latest 1,000), or `none` (it fires a minute late at most). `options` are those of `submit`; the schedule
        belongs to the `identity` among them, and each tenant has names of its own. Raises InvalidInput, UnknownAgent,
        and PermissionDenied if somebody else of the tenant has the name.
        """
        return put_schedule(
            self,
            self._submission,
            agent,
            input,
            name=name,
            cron=cron,
            every=every,
            timezone=timezone,
            budget=budget,
            catch_up=catch_up,
            options={**options},
        )

    def schedules(self, *, identity: Identity | None = None) -> list[Schedule]:
        """List all schedules by name, or those that `identity` may see."""
        check_identity(identity)
        with self.database.connection() as connection:
            return [Schedule.from_row(row, identity) for row in schedule_rows.all_schedules(connection, identity)]

    def unschedule(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> bool:
        """Delete a schedule; return False if there is none of this name. Tasks it has submitted go on.

        `identity`: the caller, for whom schedules of others do not exist. None is a trusted program, which means the
        schedule of `tenant`; without that the one of no tenant, or else the only one of the name. Raises InvalidInput
        if several tenants have one.
        """
        return remove_schedule(self, name, tenant, identity)

    def pause_schedule(
        self, name: str, *, reason: str | None = None, tenant: str | None = None, identity: Identity | None = None
    ) -> Schedule:
        """Let a schedule fire no more until it is unpaused; one that is paused stays as it is.

        `tenant` and `identity` as of `unschedule`. Raises TaskNotFound where there is none of this name, InvalidInput.
        """
        return pause_schedule(self, name, reason, tenant, identity)

    def unpause_schedule(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> Schedule:
        """Let a schedule fire again; what it has missed is made up for as its `catch_up` says. Raises TaskNotFound."""
        return unpause_schedule(self, name, tenant, identity)

    def trigger_schedule(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> TaskHandle:
        """Submit a schedule's task now, also while it is paused; its rhythm stays as it is.

        The task is for the identity of the schedule. Raises TaskNotFound, and what a submit raises.
        """
        row = trigger_schedule(self, self._submission, name, tenant, identity)
        metrics.SUBMITTED.labels(row["agent"]).inc()
        return TaskHandle(self, row["id"], identity, TaskSnapshot.from_row(row))
