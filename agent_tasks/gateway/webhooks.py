"""/webhooks: the endpoints that are told what becomes of tasks."""

from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from agent_tasks.client.delivery import Delivery
from agent_tasks.client.endpoint import Payload, Webhook
from agent_tasks.errors import TaskNotFound
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import Body
from agent_tasks.gateway.deliveries import OwnTenant
from agent_tasks.gateway.door import doors, perform, performed
from agent_tasks.gateway.examples import webhooks as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.listing import Tenant
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.gateway.stages.authorise import authorise

router = doors()
_MOST: dict[str, Any] = {"minItems": 1, "maxItems": 100}
_SECRET: dict[str, Any] = {"pattern": "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$"}
Name = Annotated[
    str, Path(description="The endpoint's, of its tenant.", json_schema_extra={"minLength": 1, "maxLength": 200})
]


class WebhookBody(Body):
    """An endpoint: where it is, and of what it is told."""

    url: str = Field(
        description="https or http, on the public internet.", json_schema_extra={"minLength": 1, "maxLength": 2048}
    )
    types: list[str] | None = Field(
        default=None, description="The types of events. Left out: all.", json_schema_extra=_MOST
    )
    agents: list[str] | None = Field(
        default=None, description="Only of tasks of these agents. Left out: of all.", json_schema_extra=_MOST
    )
    payload: Payload = Field(default="thin", description="`full`: with the task's snapshot.")
    ordered: bool = Field(default=True, description="The events of one task come one after the other.")
    secret: str | None = Field(
        default=None,
        description="One of your own: `whsec_` and base64 of 24 to 64 bytes. Left out: one is made, or that there is "
        "is kept.",
        json_schema_extra=_SECRET,
    )
    subject: str | None = Field(
        default=None,
        description="Of whose tasks it is told. Left out: of all of the tenant's with `tasks:all`, else of your own.",
        json_schema_extra={"minLength": 1, "maxLength": 256},
    )


class RotateBody(Body):
    """The secret to come."""

    secret: str | None = Field(
        default=None, description="One of your own. Left out: one is made.", json_schema_extra=_SECRET
    )
    overlap: float = Field(
        default=86_400.0,
        description="Seconds for which the old secret signs, too.",
        json_schema_extra={"minimum": 0, "maximum": 30 * 86_400},
    )


class Webhooks(BaseModel):
    """Endpoints by name, without their secrets."""

    webhooks: list[Webhook]


@router.put(
    "/webhooks/{name}",
    name="put_webhook",
    response_model=Webhook,
    responses=examples.put_webhook,
    summary="Register an endpoint",
)
async def put_webhook(request: Request, name: Name, body: WebhookBody, tenant: OwnTenant = None) -> Response:
    """Register an endpoint, or change the one of this name: what is left out is the default again, but the secret.

    The answer has the secret, with which all that is sent to it is signed. `payload=full` takes `tasks:read`, too.
    """

    def put(gate: Gate, caller: Caller) -> Webhook:
        if body.payload == "full":  # it has what get_task answers
            authorise(caller, OPERATIONS["get_task"])
        return gate.client.webhooks.put(name, **body.model_dump(), **_whose(caller, tenant))

    return await performed(request, put)


@router.get(
    "/webhooks",
    name="list_webhooks",
    response_model=Webhooks,
    responses=examples.list_webhooks,
    summary="Endpoints",
)
async def list_webhooks(request: Request, tenant: Tenant = None) -> Response:
    """The endpoints that the caller may see, by name, without their secrets."""

    def look(gate: Gate, caller: Caller) -> Webhooks:
        return Webhooks(webhooks=gate.client.webhooks.list(tenant=tenant, identity=caller.viewer))

    return await performed(request, look)


@router.get(
    "/webhooks/{name}",
    name="get_webhook",
    response_model=Webhook,
    responses=examples.get_webhook,
    summary="An endpoint",
)
async def get_webhook(request: Request, name: Name, tenant: OwnTenant = None) -> Response:
    """An endpoint, and how it stands, without its secret: whoever may only read could sign with that."""

    def look(gate: Gate, caller: Caller) -> Webhook:
        found = gate.client.webhooks.get(name, **_whose(caller, tenant))
        return found.model_copy(update={"secret": None})

    return await performed(request, look)


@router.delete(
    "/webhooks/{name}",
    name="remove_webhook",
    status_code=204,
    responses=examples.remove_webhook,
    summary="Remove an endpoint",
)
async def remove_webhook(request: Request, name: Name, tenant: OwnTenant = None) -> Response:
    """Remove an endpoint; what is still to be delivered to it is dropped."""

    def remove(gate: Gate, caller: Caller) -> None:
        if not gate.client.webhooks.remove(name, **_whose(caller, tenant)):
            raise TaskNotFound(f"No endpoint is named {name!r}, or it belongs to another. GET /webhooks lists yours.")

    await perform(request, remove)
    return Response(status_code=204)


@router.post(
    "/webhooks/{name}/rotate",
    name="rotate_webhook",
    response_model=Webhook,
    responses=examples.rotate_webhook,
    summary="Replace its secret",
)
async def rotate_webhook(
    request: Request, name: Name, body: RotateBody | None = None, tenant: OwnTenant = None
) -> Response:
    """Replace the secret; for a while what is sent is signed with the old one, too. The answer has the new one."""
    given = body or RotateBody()

    def rotate(gate: Gate, caller: Caller) -> Webhook:
        return gate.client.webhooks.rotate(name, secret=given.secret, overlap=given.overlap, **_whose(caller, tenant))

    return await performed(request, rotate)


@router.post(
    "/webhooks/{name}/enable",
    name="enable_webhook",
    response_model=Webhook,
    responses=examples.enable_webhook,
    summary="Enable an endpoint",
)
async def enable_webhook(request: Request, name: Name, tenant: OwnTenant = None) -> Response:
    """Tell an endpoint again that was disabled; what happened meanwhile takes a replay of a range."""

    def enable(gate: Gate, caller: Caller) -> Webhook:
        return gate.client.webhooks.enable(name, **_whose(caller, tenant)).model_copy(update={"secret": None})

    return await performed(request, enable)


@router.post(
    "/webhooks/{name}/disable",
    name="disable_webhook",
    response_model=Webhook,
    responses=examples.disable_webhook,
    summary="Disable an endpoint",
)
async def disable_webhook(request: Request, name: Name, tenant: OwnTenant = None) -> Response:
    """Tell an endpoint nothing any more; what is still to be delivered to it is dropped."""

    def disable(gate: Gate, caller: Caller) -> Webhook:
        return gate.client.webhooks.disable(name, **_whose(caller, tenant)).model_copy(update={"secret": None})

    return await performed(request, disable)


@router.post(
    "/webhooks/{name}/ping",
    name="ping_webhook",
    status_code=202,
    response_model=Delivery,
    responses=examples.ping_webhook,
    summary="Try an endpoint",
)
async def ping_webhook(request: Request, name: Name, tenant: OwnTenant = None) -> Response:
    """Send a `webhook.ping` to an endpoint, and to no other; the delivery tells what comes of it."""

    def ping(gate: Gate, caller: Caller) -> Delivery:
        return gate.client.webhooks.ping(name, **_whose(caller, tenant))

    return await performed(request, ping, 202)


def _whose(caller: Caller, tenant: str | None) -> dict[str, Any]:
    """Of which tenant, and who asks."""
    return {"tenant": caller.tenant if tenant is None else tenant, "identity": caller.viewer}
