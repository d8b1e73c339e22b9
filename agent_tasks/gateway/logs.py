"""GET /tasks/{id}/logs: what a task's steps have logged."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel

from agent_tasks.client.logs import LogLine
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import history as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.listing import Limit
from agent_tasks.gateway.stages.route import find
from agent_tasks.task.arguments import LARGEST_BIGINT

router = doors()


class LogPage(BaseModel):
    """Log records of a task's steps, the oldest first."""

    logs: list[LogLine]
    next: int
    """The `after` to go on from, also for records that are still to come."""


@router.get(
    "/tasks/{id}/logs",
    name="get_logs",
    response_model=LogPage,
    responses=examples.get_logs,
    summary="What a task's steps have logged",
)
async def get_logs(
    request: Request,
    id: str,
    limit: Limit = 100,
    after: Annotated[
        int, Query(ge=0, le=LARGEST_BIGINT, description="The `seq` of the last record that was seen.")
    ] = 0,
) -> Response:
    """The kept log records of a task, where the deployment keeps them (`AGENT_TASKS_KEEP_LOGS`), the oldest first."""

    def look(gate: Gate, caller: Caller) -> LogPage:
        lines = find(gate, caller, id).logs(after=after, limit=limit)
        return LogPage(logs=lines, next=lines[-1].seq if lines else after)

    return await performed(request, look)
