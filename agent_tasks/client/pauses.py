"""Pausing a task, an agent, a queue or a tenant, and going on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.listing import LARGEST_PAGE
from agent_tasks.client.serving import shown_by
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput, InvalidState, PermissionDenied
from agent_tasks.storable import storable
from agent_tasks.store.access import viewer_of
from agent_tasks.store.pausing import target_of
from agent_tasks.store.queries import pauses
from agent_tasks.task.arguments import as_uuid, check_flag, check_names, check_whole, refused
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.origin import current
from agent_tasks.transitions import pause as pause_rows
from agent_tasks.transitions.audit import entry, short

PauseKind = Literal["task", "agent", "queue", "tenant"]
_LONGEST_REASON = 4000


class Pause(BaseModel):
    """A pause: what is paused, who paused it, when and why."""

    model_config = ConfigDict(frozen=True)

    id: int
    kind: PauseKind
    name: str
    """The task's id, or the name of the agent, the queue or the tenant."""
    tenant: str | None
    """The tenant whose people paused it, or of whose tasks alone an agent or a queue is paused; None: of all."""
    reason: str | None
    by: str
    """The subject that paused it; of a trusted program `user@host`."""
    by_operators: bool
    """Whether a trusted program or the scope `admin` paused it, which alone may end it."""
    began_at: datetime
    ended_at: datetime | None
    """When it ended; None while it holds."""

    @classmethod
    def from_row(cls, row: pauses.PauseRow, identity: Identity | None) -> "Pause":
        by = shown_by(row["by"], identity, by_operators=row["by_operators"])
        return cls.model_validate({**row, "by": by})


@dataclass(frozen=True)
class _Target:
    kind: PauseKind
    name: str
    task_id: UUID | None
    tenant: str | None
    identity: Identity | None
    """Whose tasks are meant; None: all tenants'."""
    asked_by: Identity | None

    @property
    def text(self) -> str:
        return target_of(self.kind, self.name, self.tenant)

    @property
    def shown(self) -> str:
        whose = f" of the tenant {self.tenant}" if self.identity is None and self.tenant is not None else ""
        return f"{self.kind} {self.name}{whose}"


def pause(
    deployment: Deployment,
    task: TaskHandle | UUID | str | None,
    agent: str | None,
    queue: str | None,
    tenant: str | None,
    reason: str | None,
    identity: Identity | None,
) -> Pause:
    """Do what `AgentTasks.pause` does."""
    if reason is not None and not isinstance(reason, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise refused("reason must be text", reason, "reason")
    target = _target(deployment, task, agent, queue, tenant, identity)
    is_sensitive = False
    if target.task_id is not None:
        found = deployment.find_row(target.task_id)
        if found["finished_at"] is not None:
            raise InvalidState(f"Task {target.name} has ended ({found['status']}), and there is nothing to pause.")
        is_sensitive = found["sensitive"]
    kept = storable(reason)[:_LONGEST_REASON] if reason else None
    with deployment.database.connection() as connection:
        row = pause_rows.begin(
            connection,
            target.kind,
            target.name,
            target=target.text,
            tenant=target.tenant,
            task_id=target.task_id,
            reason=kept,
            by=current().name_of_writer(target.asked_by),
            by_operators=target.identity is None,
            entry=_entry("pause", target, None if is_sensitive else kept),
        )
        held = _own(pause_rows.living(connection, target.text), target) if row is None else None
    deployment.pause_look.forget()
    if row is None:
        when = f" since {held['began_at']:%Y-%m-%d %H:%M:%S %Z}" if held else ""
        raise InvalidState(f"The {target.shown} is paused{when}. Nothing was changed.", kind=target.kind)
    return Pause.from_row(row, target.identity)


def resume_paused(
    deployment: Deployment,
    task: TaskHandle | UUID | str | None,
    agent: str | None,
    queue: str | None,
    tenant: str | None,
    identity: Identity | None,
) -> Pause:
    """Do what `AgentTasks.resume_paused` does."""
    target = _target(deployment, task, agent, queue, tenant, identity)
    with deployment.database.connection() as connection:
        held = pause_rows.living(connection, target.text)
        own = _own(held, target)
        if own is None and held and target.identity is not None:
            raise PermissionDenied(
                f"The {target.shown} was paused by the operators of this deployment, who alone may let it go on.",
                kind=target.kind,
            )
        ending = own or (held[0] if held else None)
        row = ending and pause_rows.end(connection, ending["id"], entry=_entry("unpause", target, None))
    deployment.pause_look.forget()
    if row is None:
        raise InvalidState(f"The {target.shown} is not paused. Nothing was changed.", kind=target.kind)
    return Pause.from_row(row, target.identity)


def all_pauses(
    deployment: Deployment, *, ended: bool, after: int | None, limit: int, identity: Identity | None
) -> list[Pause]:
    """Do what `AgentTasks.pauses` does."""
    check_flag(ended, "ended")
    check_identity(identity)
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    if after is not None:
        check_whole(after, "after", 0, pauses.NEWEST)
    viewer = viewer_of(identity)
    with deployment.database.connection() as connection:
        newest = pauses.NEWEST if after is None else after
        rows = pauses.listed(connection, ended=ended, after=newest, limit=limit, identity=viewer)
    return [Pause.from_row(row, viewer) for row in rows]


def _own(held: list[pauses.PauseRow], target: _Target) -> pauses.PauseRow | None:
    """The pause that the operators began, or, for a tenant's people, that of one of them."""
    return next((row for row in held if row["by_operators"] == (target.identity is None)), None)


def _entry(operation: str, target: _Target, reason: str | None) -> dict[str, str]:
    data = {"kind": target.kind} | ({"reason": short(reason)} if reason else {})
    if target.identity is None and target.tenant is not None:  # else it is the writer's
        data["of_tenant"] = target.tenant
    return entry(operation, target.asked_by, target=target.name, data=data)


def _target(
    deployment: Deployment,
    task: TaskHandle | UUID | str | None,
    agent: str | None,
    queue: str | None,
    tenant: str | None,
    identity: Identity | None,
) -> _Target:
    """Return the one thing that is named. Raises InvalidInput, TaskNotFound, PermissionDenied."""
    check_identity(identity)
    check_names(agent=agent, queue=queue, tenant=tenant)
    task_id = None if task is None else task.id if isinstance(task, TaskHandle) else as_uuid(task)
    given: dict[PauseKind, str | None] = {
        "task": None if task_id is None else str(task_id),
        "agent": agent,
        "queue": queue,
        "tenant": tenant,
    }
    named: dict[PauseKind, str] = {kind: name for kind, name in given.items() if name is not None}
    of_tenant = None
    if len(named) == 2 and tenant is not None and task_id is None:
        of_tenant = named.pop("tenant")
    if len(named) != 1:
        said = "two were named: " + ", ".join(named) if named else "nothing was named"
        raise InvalidInput(
            f"Name one of task, agent, queue and tenant, or an agent or a queue and the tenant of whose tasks; {said}.",
            field="task",
        )
    ((kind, name),) = named.items()
    if name == "":
        raise refused(f"{kind} must not be empty", name, kind)
    if of_tenant == "":
        raise refused("tenant must not be empty", of_tenant, "tenant")
    if identity is None and isinstance(task, TaskHandle):
        identity = task.identity
    viewer = viewer_of(identity)
    if task_id is not None:
        deployment.find_row(task_id, viewer)
    elif viewer is not None:
        _check_is_operator(viewer, kind, name if kind == "tenant" else of_tenant)
    return _Target(kind, name, task_id, viewer.tenant if viewer else of_tenant, viewer, identity)


def _check_is_operator(identity: Identity, kind: str, tenant: str | None) -> None:
    if "tasks:all" not in identity.scopes:
        raise PermissionDenied(
            f"{identity.subject!r} may pause its own tasks; for a whole {kind} it needs the scope 'tasks:all'.",
            scope="tasks:all",
        )
    if tenant is not None and tenant != identity.tenant:
        raise PermissionDenied(
            f"{identity.subject!r} may pause the tenant {identity.tenant!r} only, not {tenant!r}.", tenant=tenant
        )
