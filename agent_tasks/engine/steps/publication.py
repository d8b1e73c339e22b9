"""What is published after a commit: bells, the mirror, and messages that this worker passes on."""

import logging

from agent_tasks.deployment import Deployment
from agent_tasks.doorbell.envelope import Envelope
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.observers.mirror import Mirroring
from agent_tasks.engine.steps.commit import Settled
from agent_tasks.moments import reached
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import read
from agent_tasks.store.rows import Row

log = logging.getLogger(__name__)


class Publication:
    """Publishes to Redis and never raises: the sweep makes up for what Redis does not take."""

    def __init__(self, deployment: Deployment, combiners: Combiners, mirroring: Mirroring) -> None:
        self._deployment = deployment
        self._combiners = combiners
        self._mirroring = mirroring

    def publish(self, settled: Settled) -> None:
        """Publish a commit that this worker does not go on from in place."""
        reached("committed")
        if not settled.changed:
            self._combiners.ring(settled.row)
            self._mirroring.note(settled.row["id"])
        else:
            self._mirroring.forget(settled.row["id"])
            if len(settled.changed) > 1:
                self._deployment.publish(settled.changed)
            else:
                self._combiners.publish(settled.changed[0])
        reached("published")

    def show(self, row: Row) -> None:
        """Mirror a task whose step was given back; its bell is the sweep's to ring."""
        self._mirroring.forget(row["id"])
        self._deployment.publisher.show([row])

    def ring_again(self, envelope: Envelope) -> None:
        """Pass on a message, because this worker is going, or full."""
        try:
            with self._deployment.database.connection() as connection:
                row = read.find(connection, envelope.task_id)
        except Transient as error:
            log.warning("message not passed on, the sweep sends another: %s", error)
            return
        if row is not None and row["step_number"] == envelope.step_number:
            self._deployment.publish([row])
