"""Orphans: no live worker serves them, and their TTL is over."""

import logging

from agent_tasks import metrics
from agent_tasks.deployment import Deployment
from agent_tasks.errors import ErrorInfo, ErrorType, SuggestedAction
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.catalog import note_keys
from agent_tasks.store.rows import Row
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.abandon import WATCH, abandon
from agent_tasks.transitions.cancel import cancel_below
from agent_tasks.transitions.ending import end
from agent_tasks.transitions.forget import forget_below

log = logging.getLogger(__name__)
GAP_SECONDS = 90.0
"""How long this sweep may be silent: longer silence restarts every TTL."""
_GONE = ErrorInfo(type=ErrorType.CANCELLED, message="the parent was given up as an orphan")
_PURGED = _GONE.model_copy(update={"details": {"purged": True}, "suggested_action": SuggestedAction.ESCALATE})


def run_once(deployment: Deployment) -> int:
    settings, fingerprints = deployment.settings, deployment.publisher.fingerprints

    def abandon_all(connection: Connection) -> list[Row]:
        """Abandon the orphans first, then those below them."""
        given_up = abandon(connection, limit=BATCH, lease_seconds=settings.lease_seconds, gap_seconds=GAP_SECONDS)
        note_keys(connection, WATCH, fingerprints)
        secret = [row["id"] for row in given_up if row["sensitive"]]
        below = cancel_below(connection, secret, _PURGED)
        below += cancel_below(connection, [row["id"] for row in given_up if not row["sensitive"]], _GONE)
        forget_below(connection, secret)
        return given_up + below

    def abandon_and_tell(connection: Connection) -> tuple[list[Row], list[Row]]:
        ended, joined = end(connection, abandon_all, ring_seconds=settings.ring_seconds)
        return [row for row in ended if "was" not in row], [*ended, *joined]

    rows = deployment.commit_for(abandon_and_tell)
    for row in rows:
        metrics.ORPHANS.labels(row["agent"], row["status"]).inc()
        log.error("task given up, no worker served it: task=%s agent=%s step=%s", row["id"], row["agent"], row["step"])
    return len(rows)
