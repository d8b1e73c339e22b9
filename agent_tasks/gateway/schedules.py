"""/schedules: tasks that are submitted again and again."""

from typing import Annotated

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from agent_tasks.client.schedules import CatchUp, Schedule, check_one
from agent_tasks.errors import TaskNotFound
from agent_tasks.gateway import answers
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import Body, RequestOptions
from agent_tasks.gateway.door import doors, perform, performed
from agent_tasks.gateway.examples import schedules as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.stages.limit import budget_of
from agent_tasks.task.arguments import LONGEST_WAIT
from agent_tasks.task.snapshot import TaskSnapshot

router = doors()
Name = Annotated[
    str,
    Path(description="Told apart from those of other tenants.", json_schema_extra={"minLength": 1, "maxLength": 200}),
]
Tenant = Annotated[
    str | None, Query(description="Of which tenant, where `admin` sees several.", json_schema_extra={"maxLength": 256})
]


class ScheduleBody(RequestOptions):
    """What is submitted, and when: by `cron`, or `every` so many seconds."""

    cron: str | None = Field(
        default=None, description="Five fields: minute hour day month weekday.", examples=["0 7 * * 1-5"]
    )
    every: float | None = Field(
        default=None, description="Seconds.", json_schema_extra={"minimum": 1, "maximum": LONGEST_WAIT}
    )
    catch_up: CatchUp = Field(default="one", description="What becomes of missed firings: one for all, all, or none.")
    timezone: str = Field(default="UTC", description="Of `cron`, as in Europe/Berlin.")


class Schedules(BaseModel):
    """Schedules by name."""

    schedules: list[Schedule]


@router.put(
    "/schedules/{name}",
    name="schedule",
    response_model=Schedule,
    responses=examples.schedule,
    summary="Submit again and again",
)
async def schedule(request: Request, name: Name, body: ScheduleBody) -> Response:
    """Submit a task again and again. A schedule of this name that the caller may change is changed."""

    def put(gate: Gate, caller: Caller) -> Schedule:
        return gate.client.schedule(
            body.agent,
            body.input,
            name=name,
            cron=body.cron,
            every=body.every,
            timezone=body.timezone,
            catch_up=body.catch_up,
            budget=budget_of(body.budget),
            **body.options(caller.identity, body.queue),
        )

    return await performed(request, put)


@router.get(
    "/schedules",
    name="list_schedules",
    response_model=Schedules,
    responses=examples.list_schedules,
    summary="Schedules",
)
async def list_schedules(request: Request) -> Response:
    """The schedules that the caller may see, by name."""

    def look(gate: Gate, caller: Caller) -> Schedules:
        return Schedules(schedules=gate.client.schedules(identity=caller.viewer))

    return await performed(request, look)


@router.get(
    "/schedules/{name}",
    name="get_schedule",
    response_model=Schedule,
    responses=examples.get_schedule,
    summary="A schedule",
)
async def get_schedule(request: Request, name: Name, tenant: Tenant = None) -> Response:
    """A schedule, and when it comes next."""

    def look(gate: Gate, caller: Caller) -> Schedule:
        found = [
            each
            for each in gate.client.schedules(identity=caller.viewer)
            if each.name == name and tenant in (None, each.tenant)
        ]
        if not found:
            raise _not_found(name)
        check_one(name, [each.tenant for each in found])
        return found[0]

    return await performed(request, look)


class PauseBody(Body):
    """Why a schedule is paused."""

    reason: str | None = Field(
        default=None, description="Kept with it.", json_schema_extra={"minLength": 1, "maxLength": 1_000}
    )


@router.post(
    "/schedules/{name}/pause",
    name="pause_schedule",
    response_model=Schedule,
    responses=examples.pause_schedule,
    summary="Pause a schedule",
)
async def pause_schedule(
    request: Request, name: Name, tenant: Tenant = None, body: PauseBody | None = None
) -> Response:
    """Let a schedule submit nothing until it is unpaused; one that is paused stays as it is."""
    reason = (body or PauseBody()).reason

    def pause(gate: Gate, caller: Caller) -> Schedule:
        return gate.client.pause_schedule(name, reason=reason, tenant=tenant, identity=caller.viewer)

    return await performed(request, pause)


@router.post(
    "/schedules/{name}/unpause",
    name="unpause_schedule",
    response_model=Schedule,
    responses=examples.unpause_schedule,
    summary="Unpause a schedule",
)
async def unpause_schedule(request: Request, name: Name, tenant: Tenant = None) -> Response:
    """Let a schedule submit again; what it has missed is made up for as its `catch_up` says."""

    def unpause(gate: Gate, caller: Caller) -> Schedule:
        return gate.client.unpause_schedule(name, tenant=tenant, identity=caller.viewer)

    return await performed(request, unpause)


@router.post(
    "/schedules/{name}/trigger",
    name="trigger_schedule",
    status_code=202,
    response_model=TaskSnapshot,
    responses=examples.trigger_schedule,
    summary="Fire a schedule now",
)
async def trigger_schedule(request: Request, name: Name, tenant: Tenant = None) -> Response:
    """Submit a schedule's task now, also while it is paused; its rhythm stays as it is."""

    def fire(gate: Gate, caller: Caller) -> TaskSnapshot:
        task = gate.client.trigger_schedule(name, tenant=tenant, identity=caller.viewer)
        return task.seen or task.look()

    seen = await perform(request, fire)
    return answers.of_task(seen, 202, answers.location(request, seen))


@router.delete(
    "/schedules/{name}",
    name="unschedule",
    status_code=204,
    responses=examples.unschedule,
    summary="Forget a schedule",
)
async def unschedule(request: Request, name: Name, tenant: Tenant = None) -> Response:
    """Forget a schedule; tasks that it has submitted go on."""

    def remove(gate: Gate, caller: Caller) -> None:
        if not gate.client.unschedule(name, tenant=tenant, identity=caller.viewer):
            raise _not_found(name)

    await perform(request, remove)
    return Response(status_code=204)


def _not_found(name: str) -> TaskNotFound:
    return TaskNotFound(f"No schedule is named {name!r}, or it belongs to another. GET /schedules lists yours.")
