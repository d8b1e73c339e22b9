"""Followed tasks: how many of them each tenant has one gateway follow at a moment."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.refusals import Refused

_TRY_AGAIN_SECONDS = 5
"""When a tenant with too many of them may try again."""


class FollowedTasks:
    """Counts what requests hold open: streams, and calls that wait for a task. Used on the event loop only.

    Each is a look at Postgres at least every half a minute, for as long as its client likes.
    """

    def __init__(self, most: int) -> None:
        """`most`: of one tenant; 0: any number."""
        self._most = most
        self._tenants: Counter[str] = Counter()

    @contextmanager
    def following(self, caller: Caller, tasks: int = 1) -> Generator[None]:
        """Within it the caller follows so many tasks. Raises Refused (429) where its tenant would have too many."""
        tenant = caller.tenant
        if self._most and caller.is_limited and self._tenants[tenant] + tasks > self._most:
            raise self._too_many(tenant)
        self._tenants[tenant] += tasks
        try:
            yield
        finally:
            self._tenants[tenant] -= tasks
            if not self._tenants[tenant]:
                del self._tenants[tenant]

    def _too_many(self, tenant: str) -> Refused:
        return Refused(
            429,
            "too_many_followed_tasks",
            "Too many tasks are followed",
            f"The tenant {tenant!r} may have a gateway follow {self._most} tasks at a time, by streams and by calls "
            "that wait (AGENT_TASKS_GATEWAY_FOLLOWED_TASKS). End some of them, or look from time to time how the task "
            "stands.",
            headers={"Retry-After": str(_TRY_AGAIN_SECONDS)},
        )
