"""/deliveries: what was sent to endpoints, or is still to be, and sending it once more."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from agent_tasks.client.delivery import Delivery, DeliveryPage, DeliveryStatus
from agent_tasks.client.replays import Only
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import Body
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import webhooks as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.listing import Limit, Tenant

router = doors()
_NAME: dict[str, Any] = {"minLength": 1, "maxLength": 200}
Id = Annotated[UUID, Path(description="The delivery's.")]
OwnTenant = Annotated[
    str | None, Query(description="Of which tenant, where `admin` sees several.", json_schema_extra={"maxLength": 256})
]
After = Annotated[str | None, Query(description="The `next` of the page before.", json_schema_extra={"maxLength": 36})]


@router.get(
    "/deliveries",
    name="list_deliveries",
    response_model=DeliveryPage,
    responses=examples.list_deliveries,
    summary="Deliveries",
)
async def list_deliveries(
    request: Request,
    webhook: Annotated[
        str | None,
        Query(
            description="Only those to the endpoint of this name.", json_schema_extra={"minLength": 1, "maxLength": 256}
        ),
    ] = None,
    status: Annotated[DeliveryStatus | None, Query(description="Only those in this state.")] = None,
    task_id: Annotated[str | None, Query(description="Only those of this task.")] = None,
    type: Annotated[
        str | None,
        Query(description="Only those of this type of event.", json_schema_extra={**_NAME, "maxLength": 256}),
    ] = None,
    tenant: Tenant = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """The deliveries of the caller's endpoints and of the callbacks of the caller's tasks, the newest first."""

    def search(gate: Gate, caller: Caller) -> DeliveryPage:
        return gate.client.webhooks.deliveries(
            webhook=webhook,
            status=status,
            task_id=task_id,
            type=type,
            tenant=caller.tenant if tenant is None and webhook is not None else tenant,
            limit=limit,
            after=after,
            identity=caller.viewer,
        )

    return await performed(request, search)


@router.get(
    "/deliveries/{id:uuid}",
    name="get_delivery",
    response_model=Delivery,
    responses=examples.get_delivery,
    summary="A delivery",
)
async def get_delivery(request: Request, id: Id) -> Response:
    """A delivery: what goes where, how it stands, and what came of the last attempt."""
    return await performed(request, lambda gate, caller: gate.client.webhooks.delivery(id, identity=caller.viewer))


@router.post(
    "/deliveries/{id:uuid}/replay",
    name="replay_delivery",
    status_code=202,
    response_model=Delivery,
    responses=examples.replay_delivery,
    summary="Deliver an event once more",
)
async def replay_delivery(request: Request, id: Id) -> Response:
    """Deliver an event once more to where it went, with the same `webhook-id`, in its place among those of its task.

    Where it is still to be delivered there, that is due now, and there is no second one.
    """

    def again(gate: Gate, caller: Caller) -> Delivery:
        return gate.client.webhooks.replay(id, identity=caller.viewer)

    return await performed(request, again, 202)


class ReplayBody(Body):
    """Which events are delivered again, and to whom."""

    webhook: str = Field(description="The endpoint's name.", json_schema_extra=_NAME)
    after: str | None = Field(
        default=None,
        description="From when on: a time, or a cursor of the feed. Left out: from the oldest that is kept.",
        examples=["2026-11-27T09:00:00Z"],
    )
    until: str | None = Field(default=None, description="Until when: a time, or a cursor of the feed.")
    only: Only = Field(default="failed", description="`failed`: what has not come to the endpoint; `all`: everything.")


class Replayed(BaseModel):
    """How many events are delivered again."""

    replayed: int


@router.post(
    "/deliveries/replay",
    name="replay_deliveries",
    status_code=202,
    response_model=Replayed,
    responses=examples.replay_deliveries,
    summary="Deliver a range of events once more",
)
async def replay_deliveries(request: Request, body: ReplayBody, tenant: OwnTenant = None) -> Response:
    """Deliver once more what an endpoint is told of, also of the time in which it was disabled or not yet there."""

    def again(gate: Gate, caller: Caller) -> Replayed:
        return Replayed(
            replayed=gate.client.webhooks.replay_range(
                body.webhook,
                after=body.after,
                until=body.until,
                only=body.only,
                tenant=caller.tenant if tenant is None else tenant,
                identity=caller.viewer,
            )
        )

    return await performed(request, again, 202)
