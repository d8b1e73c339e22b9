"""GET /audit: who wrote what."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel

from agent_tasks.client.audit import AuditEntry
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import reports as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.listing import Limit
from agent_tasks.store.queries.audit import NEWEST
from agent_tasks.task.origin import DOORS

router = doors()
_NAME: dict[str, Any] = {"minLength": 1, "maxLength": 256}


class AuditPage(BaseModel):
    """Entries of the audit, the newest first."""

    entries: list[AuditEntry]
    next: int | None
    """The `after` of the next page; null where there is none."""


@router.get(
    "/audit", name="get_audit", response_model=AuditPage, responses=examples.get_audit, summary="Who wrote what"
)
async def get_audit(
    request: Request,
    tenant: Annotated[
        str | None,
        Query(description="Only what this tenant's wrote; empty: of none.", json_schema_extra={"maxLength": 256}),
    ] = None,
    subject: Annotated[str | None, Query(description="Only what this subject wrote.", json_schema_extra=_NAME)] = None,
    task_id: Annotated[UUID | None, Query(description="Only what was written to this task.")] = None,
    operation: Annotated[str | None, Query(description="Only this operation.", json_schema_extra=_NAME)] = None,
    door: Annotated[
        str | None, Query(description=f"Only through this door: {', '.join(DOORS)}.", json_schema_extra=_NAME)
    ] = None,
    limit: Limit = 100,
    after: Annotated[int | None, Query(ge=0, le=NEWEST, description="The `next` of the page before.")] = None,
) -> Response:
    """Who wrote what, the newest first: what the caller wrote; with `tasks:all` its tenant; with `admin` everybody."""

    def look(gate: Gate, caller: Caller) -> AuditPage:
        entries = gate.client.audit(
            tenant=tenant, subject=subject, task_id=task_id, operation=operation, door=door, after=after, limit=limit,
            identity=caller.viewer,
        )  # fmt: skip
        return AuditPage(entries=entries, next=entries[-1].id if len(entries) == limit else None)

    return await performed(request, look)
