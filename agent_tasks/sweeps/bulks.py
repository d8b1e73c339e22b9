"""Bulk operations: those that were left to the sweeps, or whose program is gone, go on where they have come to."""

import logging

from agent_tasks.client.bulk import find_bulk, run_bulk
from agent_tasks.deployment import Deployment
from agent_tasks.store.errors import Transient
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions import bulk

log = logging.getLogger(__name__)


def run_once(deployment: Deployment) -> int:
    with deployment.database.connection() as connection:
        due = bulk.due(connection, limit=BATCH)
    for id in due:
        try:
            ended = run_bulk(deployment, find_bulk(deployment, id, None))
        except Transient:
            raise
        except Exception:  # it is noted as failed; the others go on all the same
            log.exception("bulk operation failed: bulk=%s", id)
        else:
            log.info("bulk operation %s: bulk=%s operation=%s done=%d", ended.status, id, ended.operation, ended.done)
    return len(due)


def purge(deployment: Deployment) -> int:
    """Delete those that ended as long ago as the audit is kept."""
    with deployment.database.connection() as connection:
        return bulk.purge(connection, limit=BATCH, seconds=deployment.settings.audit_seconds)
