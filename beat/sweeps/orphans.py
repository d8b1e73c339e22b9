"""Orphans: no live worker serves them, and their TTL is over."""

import logging

from agent_tasks import metrics
from agent_tasks.client import AgentTasks
from agent_tasks.errors import ErrorInfo, ErrorType
from agent_tasks.transitions.abandon import abandon
from agent_tasks.transitions.cancel import cancel_below
from agent_tasks.transitions.join import join
from beat.sweeps import BATCH

log = logging.getLogger(__name__)
GAP_SECONDS = 90.0
"""Longer silence of this sweep restarts every TTL."""


def run_once(client: AgentTasks) -> int:
    with client.database.transaction() as connection:
        rows = abandon(connection, limit=BATCH, lease_seconds=client.settings.lease_seconds, gap_seconds=GAP_SECONDS)
        gone = ErrorInfo(type=ErrorType.CANCELLED, message="the parent was given up as an orphan")
        below = cancel_below(connection, [row["id"] for row in rows], gone)
        joined = join(connection, [*rows, *below], ring_seconds=client.settings.ring_seconds)
    client.publish([*rows, *below, *joined], stop=[row["id"] for row in below if row["was"] == "running"])
    for row in rows:
        metrics.ORPHANS.labels(row["agent"], row["status"]).inc()
        log.error("orphan given up: task=%s agent=%s step=%s", row["id"], row["agent"], row["step"])
    return len(rows)
