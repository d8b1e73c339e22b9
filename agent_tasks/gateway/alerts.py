"""/alerts: rules that say when a person is to look."""

from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from agent_tasks.client.alert import Alert
from agent_tasks.client.alert_rule import (
    LARGEST_LEAST,
    LONGEST_WINDOW,
    SHORTEST_WINDOW,
    AlertKind,
    AlertRule,
    WaitsFor,
)
from agent_tasks.client.alerts import no_alert
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import Body
from agent_tasks.gateway.deliveries import OwnTenant
from agent_tasks.gateway.door import doors, perform, performed
from agent_tasks.gateway.examples import alerts as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.listing import Tenant

router = doors()
_WINDOW: dict[str, Any] = {"minimum": SHORTEST_WINDOW, "maximum": LONGEST_WINDOW}
Name = Annotated[
    str, Path(description="The alert's, of its tenant.", json_schema_extra={"minLength": 1, "maxLength": 200})
]


class AlertBody(Body):
    """A rule: what is measured, and from when on the alert fires."""

    kind: AlertKind = Field(description="What is measured.")
    threshold: int | float | None = Field(
        default=None,
        description="Seconds of `waiting`, `pending` and `unserved` (left out: 60), a share from above 0 to 1 of "
        "`failures`, US dollars of `spend`, a number of `orphans` and `deliveries` (left out: 1).",
        json_schema_extra={"exclusiveMinimum": 0},
    )
    window: float | None = Field(
        default=None,
        description="Seconds that are looked back at. Left out: a day of `spend`, an hour of `failures`, `orphans` "
        "and `deliveries`; the others take none.",
        json_schema_extra=_WINDOW,
    )
    agent: str | None = Field(
        default=None,
        description="Only tasks of this agent. `deliveries` take none.",
        json_schema_extra={"minLength": 1, "maxLength": 64},
    )
    queue: str | None = Field(
        default=None,
        description="Only tasks of this queue. `spend` and `deliveries` take none.",
        json_schema_extra={"minLength": 1, "maxLength": 200},
    )
    waits_for: WaitsFor | None = Field(default=None, description="Of `waiting`: only what waits for this.")
    least: int | None = Field(
        default=None,
        description="Of `failures`: from how many ended tasks on a share says anything. Left out: 10.",
        json_schema_extra={"minimum": 1, "maximum": LARGEST_LEAST},
    )


class Alerts(BaseModel):
    """Alerts by name."""

    alerts: list[Alert]


@router.put(
    "/alerts/{name}", name="put_alert", response_model=Alert, responses=examples.put_alert, summary="Make an alert"
)
async def put_alert(request: Request, name: Name, body: AlertBody, tenant: OwnTenant = None) -> Response:
    """Make an alert, or change the rule of the one of this name, which keeps its state until it is checked, at once.

    It watches the tasks of one tenant; where that is the empty one, those of all tenants.
    """

    def put(gate: Gate, caller: Caller) -> Alert:
        return gate.client.put_alert(name, AlertRule(**body.model_dump()), **_whose(caller, tenant))

    return await performed(request, put)


@router.get("/alerts", name="list_alerts", response_model=Alerts, responses=examples.list_alerts, summary="Alerts")
async def list_alerts(request: Request, tenant: Tenant = None) -> Response:
    """The alerts by name, and how they stand."""

    def look(gate: Gate, caller: Caller) -> Alerts:
        return Alerts(alerts=gate.client.alerts(tenant=tenant, identity=caller.viewer))

    return await performed(request, look)


@router.get("/alerts/{name}", name="get_alert", response_model=Alert, responses=examples.get_alert, summary="An alert")
async def get_alert(request: Request, name: Name, tenant: OwnTenant = None) -> Response:
    """An alert, and how it stands."""

    def look(gate: Gate, caller: Caller) -> Alert:
        return gate.client.alert(name, **_whose(caller, tenant))

    return await performed(request, look)


@router.delete(
    "/alerts/{name}",
    name="remove_alert",
    status_code=204,
    responses=examples.remove_alert,
    summary="Remove an alert",
)
async def remove_alert(request: Request, name: Name, tenant: OwnTenant = None) -> Response:
    """Remove an alert; where it fires, `alert.resolved` is told."""

    def remove(gate: Gate, caller: Caller) -> None:
        if not gate.client.remove_alert(name, **_whose(caller, tenant)):
            raise no_alert(name)

    await perform(request, remove)
    return Response(status_code=204)


def _whose(caller: Caller, tenant: str | None) -> dict[str, Any]:
    """Of which tenant, and who asks."""
    return {"tenant": caller.tenant if tenant is None else tenant, "identity": caller.viewer}
