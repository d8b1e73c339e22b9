"""GET /tasks/{id}/calls: the recorded calls of a task, and what each cost."""

from fastapi import Request, Response

from agent_tasks.client.calls import CallPage
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import history as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.listing import After, Limit
from agent_tasks.gateway.stages.route import find

router = doors()


@router.get(
    "/tasks/{id}/calls",
    name="get_calls",
    response_model=CallPage,
    responses=examples.get_calls,
    summary="What a task has called, and what that cost",
)
async def get_calls(request: Request, id: str, limit: Limit = 100, after: After = None) -> Response:
    """The recorded calls of a task, in the order in which they were begun."""

    def look(gate: Gate, caller: Caller) -> CallPage:
        return find(gate, caller, id).calls(limit=limit, after=after)

    return await performed(request, look)
