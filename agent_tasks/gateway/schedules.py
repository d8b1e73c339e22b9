"""/schedules: tasks that are submitted again and again."""

from typing import Annotated

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from agent_tasks.client.schedules import Schedule, check_one
from agent_tasks.errors import TaskNotFound
from agent_tasks.gateway import examples
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import RequestOptions
from agent_tasks.gateway.door import doors, perform, performed
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.stages.limit import budget_of
from agent_tasks.task.arguments import LONGEST_WAIT

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
