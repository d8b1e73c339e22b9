"""/events: what happened in a tenant, in one order, for whoever was not told."""

from fastapi import Request, Response

from agent_tasks.client.feed import FeedPage
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.deliveries import After, OwnTenant
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import webhooks as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.listing import Limit

router = doors()


@router.get("/events", name="get_feed", response_model=FeedPage, responses=examples.get_feed, summary="What happened")
async def get_feed(request: Request, after: After = None, tenant: OwnTenant = None, limit: Limit = 100) -> Response:
    """What happened in the tenant, each event once, in the order of the commits: those that the caller may see.

    `next` is the place from which to go on, now or later: nothing appears behind a place that was read.
    """

    def read(gate: Gate, caller: Caller) -> FeedPage:
        return gate.client.webhooks.feed(
            after=after,
            tenant=caller.tenant if tenant is None else tenant,
            limit=limit,
            identity=caller.viewer,
        )

    return await performed(request, read)
