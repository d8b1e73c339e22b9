"""GET /spend: what was charged."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel

from agent_tasks.client.spending import MOST_SUMS, SpendKey, Spent
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import reports as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.listing import Agent, Subject, Tenant

router = doors()
_MODEL: dict[str, Any] = {"minLength": 1, "maxLength": 256}
_BY: dict[str, Any] = {"maxItems": 5}


class Spending(BaseModel):
    """What was charged, the most first."""

    spend: list[Spent]


@router.get("/spend", name="get_spend", response_model=Spending, responses=examples.get_spend, summary="Spend")
async def get_spend(
    request: Request,
    by: Annotated[
        list[SpendKey] | None, Query(description="What to sum up by. Left out: by day.", json_schema_extra=_BY)
    ] = None,
    since: Annotated[
        datetime | None, Query(description="Charged then or later. Left out: since the day began, in UTC.")
    ] = None,
    until: Annotated[datetime | None, Query(description="Charged earlier. Left out: until now.")] = None,
    agent: Agent = None,
    tenant: Tenant = None,
    subject: Subject = None,
    model: Annotated[str | None, Query(description="Only for this model.", json_schema_extra=_MODEL)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_SUMS, description="The most sums.")] = 1_000,
) -> Response:
    """Sum up what was charged to tasks that the caller may see, by agent, tenant, subject, model or day.

    Another tenant's spend is refused, and another subject's without `tasks:all`.
    """

    def add_up(gate: Gate, caller: Caller) -> Spending:
        return Spending(
            spend=gate.client.spend(
                by or ["day"], since=since, until=until, agent=agent, tenant=tenant, subject=subject, model=model,
                limit=limit, identity=caller.viewer,
            )
        )  # fmt: skip

    return await performed(request, add_up)
