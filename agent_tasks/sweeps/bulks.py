"""Bulk operations: those that were left to the sweeps, or whose program is gone, go on where they have come to."""

import logging
from uuid import UUID

from agent_tasks.client.bulk_run import do_batch
from agent_tasks.deployment import Deployment
from agent_tasks.store.errors import Contention, Transient
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions import bulk

log = logging.getLogger(__name__)
_AGAIN_SECONDS = 2.0
"""How long one waits that met rivals."""


def run_once(deployment: Deployment) -> int:
    """Do a batch of each in turn until all have ended: one of many tasks holds up none of few."""
    taken = set[UUID]()
    turn: list[UUID] = []
    while True:
        with deployment.database.connection() as connection:
            turn += [id for id in bulk.due(connection, limit=BATCH) if id not in turn]
        if not turn:
            return len(taken)
        taken |= set(turn)
        turn = [id for id in turn if _goes_on(deployment, id)]


def _goes_on(deployment: Deployment, id: UUID) -> bool:
    """Do a batch; returns whether the operation has more."""
    try:
        came_to = do_batch(deployment, id)
    except Contention:
        with deployment.database.connection() as connection:
            bulk.postpone(connection, id, seconds=_AGAIN_SECONDS)
        log.info("bulk operation waits for rivals: bulk=%s", id)
        return False
    except Transient:
        raise
    except Exception:  # it is noted as failed; the others go on all the same
        log.exception("bulk operation failed: bulk=%s", id)
        return False
    if came_to.status == "running":
        return True
    operation, done = came_to.operation, came_to.done
    log.info("bulk operation %s: bulk=%s operation=%s done=%d", came_to.status, id, operation, done)
    return False


def purge(deployment: Deployment) -> int:
    """Delete those that ended as long ago as the audit is kept."""
    with deployment.database.connection() as connection:
        return bulk.purge(connection, limit=BATCH, seconds=deployment.settings.audit_seconds)
