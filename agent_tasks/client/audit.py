"""Reading the audit of writes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.listing import LARGEST_PAGE
from agent_tasks.deployment import Deployment
from agent_tasks.store.access import viewer_of
from agent_tasks.store.queries import audit
from agent_tasks.task.arguments import check_kind, check_names, check_whole
from agent_tasks.task.identity import Identity, check_identity


class AuditEntry(BaseModel):
    """One write of a caller: who, when, through which door and from where, and the answer."""

    model_config = ConfigDict(frozen=True)

    id: int
    """Grows with each entry; `audit(after=…)` takes it."""
    at: datetime
    tenant: str
    """The tenant of the writer."""
    subject: str | None
    """The writer; None for a trusted program."""
    key_id: str | None
    """The API key that was used, if any."""
    door: str
    """`python`, `cli`, `http`, `hook`, `console`, `a2a`, `mcp` or `agentcore`."""
    origin: str
    """`user@host`, or the address of a client."""
    operation: str
    """`submit`, `signal`, `cancel`, `resume`, `acknowledge`, `pause`, `unpause`, `schedule`, `unschedule`,
    `pause_schedule`, `unpause_schedule`, `trigger_schedule`, `create_key`, `revoke_key`, `bulk`, `stop_bulk`, `purge`,
    `read_payloads`, or what was done with a webhook, a push notification or an alert, as `put_webhook`, or a replay."""
    task_id: UUID | None
    """The task that was written to; the new one of a submit."""
    target: str | None
    """The name of the signal, the schedule, the endpoint or the alert, the id of the key, or what was purged."""
    data: dict[str, Any] | None
    """A few details, never a payload."""
    answer: str
    """`accepted`, or the type of the error."""


def read_audit(
    deployment: Deployment,
    *,
    tenant: str | None,
    subject: str | None,
    task_id: UUID | None,
    operation: str | None,
    door: str | None,
    after: int | None,
    limit: int,
    identity: Identity | None,
) -> list[AuditEntry]:
    """Do what `AgentTasks.audit` does. Raises InvalidInput."""
    check_names(tenant=tenant, subject=subject, operation=operation, door=door)
    check_kind(task_id, "task_id", UUID, "a task's UUID")
    check_identity(identity)
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    if after is not None:
        check_whole(after, "after", 0, audit.NEWEST)
    viewer = viewer_of(identity)
    with deployment.database.connection() as connection:
        rows = audit.entries(
            connection,
            after=audit.NEWEST if after is None else after,
            limit=limit,
            tenant=tenant,
            subject=subject,
            task_id=task_id,
            operation=operation,
            door=door,
            own_tenant=None if viewer is None else viewer.tenant,
            own_subject=None if viewer is None or "tasks:all" in viewer.scopes else viewer.subject,
        )
    return [AuditEntry(**row) for row in rows]
