"""Pauses: what comes due of a paused task is put off once, and brought back when its pause has ended."""

from agent_tasks.deployment import Deployment
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions.pause import end_of_ended
from agent_tasks.transitions.pause import purge as purge_pauses
from agent_tasks.transitions.put_off import bring_back, ended, put_off, ring_again


def run_once(deployment: Deployment) -> int:
    with deployment.database.connection() as connection:
        end_of_ended(connection, limit=BATCH)
        over = ended(connection)
    back = sum(_bring_back(deployment, pause_id) for pause_id in over)
    with deployment.database.connection() as connection:
        return back + put_off(connection, limit=BATCH)


def _bring_back(deployment: Deployment, pause_id: int) -> int:
    """Each statement commits by itself: whatever ends this, the next sweep goes on."""
    ring_seconds = deployment.settings.ring_seconds
    rung = deployment.commit(lambda c: ring_again(c, pause_id, limit=BATCH, ring_seconds=ring_seconds), single=True)
    with deployment.database.connection() as connection:
        return len(rung) + bring_back(connection, pause_id, limit=BATCH)


def purge(deployment: Deployment) -> int:
    """Delete those that were over as long ago as the audit is kept, and before any living task was submitted."""
    with deployment.database.connection() as connection:
        return purge_pauses(connection, limit=BATCH, seconds=deployment.settings.audit_seconds)
