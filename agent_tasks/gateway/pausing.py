"""/pauses and /tasks/{id}/pause: what begins no more steps for a while."""

from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from agent_tasks.client.pauses import Pause
from agent_tasks.gateway import answers
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import Body
from agent_tasks.gateway.door import doors, perform, performed
from agent_tasks.gateway.examples import levers as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.listing import Limit
from agent_tasks.gateway.stages.route import find
from agent_tasks.store.queries.pauses import NEWEST
from agent_tasks.task.snapshot import TaskSnapshot

router = doors()
_NAME: dict[str, Any] = {"minLength": 1}


class PauseTaskBody(Body):
    """Why a task is paused."""

    reason: str | None = Field(default=None, description="Kept with the pause.")


class NewPauseBody(PauseTaskBody):
    """What is paused, and why: an agent, a queue, a tenant, or what an agent or a queue has of a tenant."""

    agent: str | None = Field(default=None, description="Tasks of this agent.", json_schema_extra=_NAME)
    queue: str | None = Field(default=None, description="Tasks on this queue.", json_schema_extra=_NAME)
    tenant: str | None = Field(default=None, description="Tasks of this tenant.", json_schema_extra=_NAME)


class PausePage(BaseModel):
    """Pauses, the newest first."""

    pauses: list[Pause]
    next: int | None
    """The `after` of the next page; null where there is none."""


@router.post(
    "/tasks/{id}/pause", name="pause", response_model=TaskSnapshot, responses=examples.pause, summary="Pause a task"
)
async def pause(request: Request, id: str, body: PauseTaskBody | None = None) -> Response:
    """Begin no more steps of a task and of all below it until it is unpaused; a step that runs comes to its end."""
    reason = (body or PauseTaskBody()).reason

    def hold(gate: Gate, caller: Caller) -> TaskSnapshot:
        task = find(gate, caller, id)
        gate.client.pause(task, reason=reason, identity=caller.viewer)
        return task.snapshot()

    return answers.of_task(await perform(request, hold))


@router.post(
    "/tasks/{id}/unpause",
    name="unpause",
    response_model=TaskSnapshot,
    responses=examples.unpause,
    summary="Unpause a task",
)
async def unpause(request: Request, id: str) -> Response:
    """Let a task go on that was paused; where another pause holds for it, it goes on when that has ended."""

    def let_go(gate: Gate, caller: Caller) -> TaskSnapshot:
        task = find(gate, caller, id)
        gate.client.resume_paused(task, identity=caller.viewer)
        return task.snapshot()

    return answers.of_task(await perform(request, let_go))


@router.get(
    "/pauses",
    name="list_pauses",
    response_model=PausePage,
    responses=examples.list_pauses,
    summary="What is paused",
)
async def list_pauses(
    request: Request,
    ended: Annotated[bool, Query(description="Also what was paused.")] = False,
    limit: Limit = 100,
    after: Annotated[int | None, Query(ge=0, le=NEWEST, description="The `next` of the page before.")] = None,
) -> Response:
    """What is paused, the newest first: of one's own tasks; with `tasks:all` of the tenant; with `admin` everything."""

    def look(gate: Gate, caller: Caller) -> PausePage:
        found = gate.client.pauses(ended=ended, after=after, limit=limit, identity=caller.viewer)
        return PausePage(pauses=found, next=found[-1].id if len(found) == limit else None)

    return await performed(request, look)


@router.post(
    "/pauses",
    name="begin_pause",
    response_model=Pause,
    responses=examples.begin_pause,
    summary="Pause an agent, a queue or a tenant",
)
async def begin_pause(request: Request, body: NewPauseBody) -> Response:
    """Begin no more steps of an agent or of a queue, of all tenants or of one, or of a tenant.

    It takes `tasks:all`, too.
    """

    def hold(gate: Gate, caller: Caller) -> Pause:
        return gate.client.pause(
            agent=body.agent, queue=body.queue, tenant=body.tenant, reason=body.reason, identity=caller.viewer
        )

    return await performed(request, hold)


@router.delete(
    "/pauses", name="end_pause", response_model=Pause, responses=examples.end_pause, summary="End such a pause"
)
async def end_pause(
    request: Request,
    agent: Annotated[str | None, Query(description="Of this agent.", json_schema_extra=_NAME)] = None,
    queue: Annotated[str | None, Query(description="Of this queue.", json_schema_extra=_NAME)] = None,
    tenant: Annotated[str | None, Query(description="Of this tenant.", json_schema_extra=_NAME)] = None,
) -> Response:
    """End such a pause, named as it was begun. It takes `tasks:all`, too."""

    def let_go(gate: Gate, caller: Caller) -> Pause:
        return gate.client.resume_paused(agent=agent, queue=queue, tenant=tenant, identity=caller.viewer)

    return await performed(request, let_go)
