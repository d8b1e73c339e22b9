"""Deliveries and the feed: what of `AgentTasks.webhooks` comes after the registering of endpoints."""

from uuid import UUID

from agent_tasks.client.delivery import Delivery, DeliveryPage, DeliveryStatus, find_deliveries, find_delivery
from agent_tasks.client.feed import FeedPage, read_feed
from agent_tasks.client.replays import Bound, Only, replay_one, replay_range
from agent_tasks.deployment import Deployment
from agent_tasks.task.identity import Identity


class Deliveries:
    """What was sent, what is to be sent again, and what happened."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def deliveries(
        self,
        *,
        webhook: str | None = None,
        status: DeliveryStatus | None = None,
        task_id: UUID | str | None = None,
        type: str | None = None,
        tenant: str | None = None,
        limit: int = 100,
        after: str | None = None,
        identity: Identity | None = None,
    ) -> DeliveryPage:
        """Find deliveries that match every filter, the newest first, a page of at most `limit` (1 to 1,000) at a time.

        `webhook`: the name of an endpoint of `tenant`. `after`: the `next` of the page before. A page looks at no more
        than 10,000 deliveries: where few of them match it is short, or empty, and still has a `next`. `identity`: only
        those of its endpoints and of its tasks' callbacks, with the scope `tasks:all` those of its tenant; None: a
        trusted program. Raises InvalidInput, and TaskNotFound for a `task_id` that is no id.
        """
        return find_deliveries(
            self._deployment,
            webhook=webhook,
            status=status,
            task_id=task_id,
            type=type,
            tenant=tenant,
            limit=limit,
            after=after,
            identity=identity,
        )

    def delivery(self, id: UUID | str, *, identity: Identity | None = None) -> Delivery:
        """Return a delivery. Raises TaskNotFound, also for one that `identity` may not see."""
        return find_delivery(self._deployment, id, identity)

    def replay(self, id: UUID | str, *, identity: Identity | None = None) -> Delivery:
        """Deliver an event once more to where it went, with the same `webhook-id`; returns the new delivery.

        Where that event is still to be delivered there, it is sent now, and no second time. It comes in order with
        the other deliveries of its task. Raises TaskNotFound, and InvalidState where the endpoint is disabled or was
        removed, or the event is kept no more.
        """
        return replay_one(self._deployment, id, identity)

    def replay_range(
        self,
        webhook: str,
        *,
        after: Bound | None = None,
        until: Bound | None = None,
        only: Only = "failed",
        tenant: str | None = None,
        identity: Identity | None = None,
    ) -> int:
        """Deliver once more what an endpoint is told of, also of the time in which it was disabled or not yet there.

        `after` and `until` are times, or cursors of the feed; left out, the range begins with the oldest event that is
        kept, and ends with the newest. `only`: `failed` leaves out what has come to the endpoint, `all` nothing.
        `tenant`: of the endpoint, for a trusted program. Returns how many events there are. Raises InvalidInput,
        TaskNotFound for an endpoint that `identity` may not see, InvalidState for one that is disabled.
        """
        return replay_range(
            self._deployment, webhook, after=after, until=until, only=only, tenant=tenant, identity=identity
        )

    def feed(
        self,
        *,
        after: str | None = None,
        tenant: str | None = None,
        limit: int = 100,
        identity: Identity | None = None,
    ) -> FeedPage:
        """Read what happened in a tenant, in the order of the commits, behind `after`: the `next` of the page before.

        No event ever appears behind a place that was read: while a transaction is open, what came after its beginning
        is kept back. There are events of the time since the tenant has an endpoint, and of tasks with a callback.
        `tenant`: that of `identity`, or for a trusted program any. `identity`: only what it may see. Raises
        InvalidInput, with `details["expired"]` where what followed `after` may have been deleted.
        """
        return read_feed(self._deployment, after=after, tenant=tenant, limit=limit, identity=identity)
