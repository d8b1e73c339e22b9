"""GET /tasks, /tasks/{id}/children and /waiting: many tasks, page by page."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel

from agent_tasks.client.listing import LARGEST_PAGE, Page
from agent_tasks.client.living_task import Kind
from agent_tasks.errors import ErrorType
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import tasks as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.stages.route import find
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.task_filter import TaskFilter, pairs

router = doors()
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Of a page.")]
_FILTER: dict[str, Any] = {"minLength": 1, "maxLength": 256}
Agent = Annotated[str | None, Query(description="Only those of this agent.", json_schema_extra=_FILTER)]
Tenant = Annotated[
    str | None,
    Query(description="Only those of this tenant; empty: of none.", json_schema_extra={"maxLength": 256}),
]
Subject = Annotated[str | None, Query(description="Only those of this subject.", json_schema_extra=_FILTER)]
Status = Annotated[TaskStatus | None, Query(description="Only those in this state.")]
Session = Annotated[str | None, Query(description="Only those of this session.")]
After = Annotated[str | None, Query(description="The `next` of the page before.", json_schema_extra={"maxLength": 36})]


@router.get("/tasks", name="list_tasks", response_model=Page, responses=examples.list_tasks, summary="Tasks")
async def list_tasks(
    request: Request,
    status: Status = None,
    agent: Agent = None,
    step: Annotated[str | None, Query(description="Only those at this step.", json_schema_extra=_FILTER)] = None,
    queue: Annotated[str | None, Query(description="Only those on this queue.", json_schema_extra=_FILTER)] = None,
    tenant: Tenant = None,
    subject: Subject = None,
    session_id: Session = None,
    error_type: Annotated[ErrorType | None, Query(description="Only those that ended with such an error.")] = None,
    created_after: Annotated[datetime | None, Query(description="Submitted then or later.")] = None,
    created_before: Annotated[datetime | None, Query(description="Submitted earlier.")] = None,
    ended_after: Annotated[datetime | None, Query(description="Ended then or later; the last ended first.")] = None,
    ended_before: Annotated[datetime | None, Query(description="Ended earlier; the last ended first.")] = None,
    metadata: Annotated[
        list[str] | None, Query(description="`KEY=VALUE`: only those with this.", json_schema_extra={"maxItems": 8})
    ] = None,
    text: Annotated[
        str | None,
        Query(description="The beginning of an id, or words of the error.", json_schema_extra={"maxLength": 1_000}),
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """Find the tasks that the caller may see, ended ones too, the newest first."""

    def search(gate: Gate, caller: Caller) -> Page:
        wanted = TaskFilter(
            status=status, agent=agent, step=step, queue=queue, tenant=tenant, subject=subject, session_id=session_id,
            error_type=error_type, created_after=created_after, created_before=created_before,
            ended_after=ended_after, ended_before=ended_before, metadata=pairs(metadata), text=text,
        )  # fmt: skip
        return gate.client.search(wanted, limit=limit, after=after, identity=caller.viewer)

    return await performed(request, search)


@router.get(
    "/tasks/{id}/children",
    name="get_children",
    response_model=Page,
    responses=examples.get_children,
    summary="What a task has spawned",
)
async def get_children(request: Request, id: str, limit: Limit = 100, after: After = None) -> Response:
    """The tasks that a task has spawned, in the order in which it did."""

    def look(gate: Gate, caller: Caller) -> Page:
        return find(gate, caller, id).page_of_children(limit=limit, after=after)

    return await performed(request, look)


class WaitingTasks(BaseModel):
    """Tasks that wait, the longest first."""

    tasks: list[TaskSnapshot]


@router.get(
    "/waiting", name="list_waiting", response_model=WaitingTasks, responses=examples.list_waiting, summary="Who waits"
)
async def list_waiting(
    request: Request,
    kind: Annotated[Kind | None, Query(description="For a signal, a timer, children or a retry.")] = None,
    agent: Agent = None,
    tenant: Tenant = None,
    subject: Subject = None,
    limit: Limit = 100,
) -> Response:
    """The tasks that wait, and for what; whoever waits longest comes first."""

    def look(gate: Gate, caller: Caller) -> WaitingTasks:
        return WaitingTasks(
            tasks=list(
                gate.client.living(
                    status=TaskStatus.WAITING,
                    kind=kind,
                    agent=agent,
                    tenant=tenant,
                    subject=subject,
                    limit=limit,
                    identity=caller.viewer,
                )
            )
        )

    return await performed(request, look)
