"""Pausing a schedule, and firing it now."""

from agent_tasks.client.schedules import Schedule, after_pause, options_of, paused_by_operators, tenant_of
from agent_tasks.client.submission import Submission
from agent_tasks.deployment import Deployment
from agent_tasks.errors import TaskNotFound
from agent_tasks.storable import storable
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.task.arguments import check_text
from agent_tasks.task.identity import Identity
from agent_tasks.task.origin import current
from agent_tasks.transitions import schedule
from agent_tasks.transitions.submit import NewTask, submit

_LONGEST_REASON = 1_000


def pause_schedule(
    deployment: Deployment, name: str, reason: str | None, tenant: str | None, identity: Identity | None
) -> Schedule:
    """Do what `AgentTasks.pause_schedule` does. Raises InvalidInput, TaskNotFound."""
    if reason is not None:
        check_text(reason, "reason", _LONGEST_REASON)
    with deployment.database.connection() as connection:
        of = _tenant(connection, name, tenant, identity)
        by = current().name_of_writer(identity)
        schedule.pause(connection, of, name, identity, by=by, reason=None if reason is None else storable(reason))
        return _found(connection, of, name, identity)


def unpause_schedule(deployment: Deployment, name: str, tenant: str | None, identity: Identity | None) -> Schedule:
    """Do what `AgentTasks.unpause_schedule` does. Raises InvalidInput, TaskNotFound, PermissionDenied."""

    def unpause(connection: Connection) -> Schedule:
        of = _tenant(connection, name, tenant, identity)
        row = schedule.find(connection, of, name, identity, lock=True)
        if row is None:
            raise not_found(name)
        if identity is not None and row["paused_at"] is not None and row["paused_tenant"] is None:
            raise paused_by_operators(name)
        schedule.unpause(connection, of, name, identity, next_at=after_pause(row))
        return _found(connection, of, name, identity)

    return deployment.database.run(unpause)


def trigger_schedule(
    deployment: Deployment, submission: Submission, name: str, tenant: str | None, identity: Identity | None
) -> Row:
    """Do what `AgentTasks.trigger_schedule` does; returns the row of the task. Raises what a submit raises."""
    while True:
        with deployment.database.connection() as connection:
            of = _tenant(connection, name, tenant, identity)
            row = schedule.find(connection, of, name, identity, lock=False)
        if row is None:
            raise not_found(name)
        options = options_of(row)
        target = submission.find_target(row["agent"])
        task = submission.new_task(target, row["input"], options.pop("budget"), **options)
        if made := deployment.commit(lambda c, row=row, task=task: _fire(deployment, c, row, task, identity)):
            return made[0]


def _fire(
    deployment: Deployment, connection: Connection, row: schedule.DueRow, task: NewTask, identity: Identity | None
) -> list[Row]:
    """Submit the task that was made of this row; none where the schedule is another by now."""
    now = schedule.find(connection, row["tenant"], row["name"], identity, lock=True)
    if now is None:
        raise not_found(row["name"])
    if any(now[column] != row[column] for column in ("agent", "input", "options")):
        return []
    rows = submit(connection, [task], ring_seconds=deployment.settings.ring_seconds)
    schedule.triggered(connection, now, task.id, identity)
    return rows


def not_found(name: str) -> TaskNotFound:
    return TaskNotFound(f"No schedule is named {name!r}, or it belongs to another.")


def _tenant(connection: Connection, name: str, tenant: str | None, identity: Identity | None) -> str:
    of = tenant_of(connection, name, tenant, identity)
    if of is None:
        raise not_found(name)
    return of


def _found(connection: Connection, tenant: str, name: str, identity: Identity | None) -> Schedule:
    row = schedule.find(connection, tenant, name, identity, lock=False)
    if row is None:  # it was removed meanwhile
        raise not_found(name)
    return Schedule.from_row(row, identity)
