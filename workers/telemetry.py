"""Celery events of steps, so that Flower sees each one under its name, in place or not."""

import logging
import threading
from typing import Any

from kombu.exceptions import OperationalError

from agent_tasks import metrics
from workers.run import StepRun

log = logging.getLogger(__name__)
_LIMIT = 10_000


class Telemetry:
    """Buffers events and sends them in one message per flush; they are the first thing to go when Redis is away."""

    def __init__(self, app: Any, node: str) -> None:
        self._lock = threading.Lock()
        self._node = node
        self._connection = app.connection_for_write()
        self._dispatcher = app.events.Dispatcher(
            self._connection, hostname=node, buffer_group=frozenset({"task"}), buffer_limit=_LIMIT
        )

    def started(self, run: StepRun) -> None:
        metrics.STEPS_RUNNING.inc()
        claim = run.claim
        row = claim.row
        common = {"uuid": f"{claim.id}:{claim.step_number}"}
        self._dispatcher.send(
            "task-received",
            name=run.step.task_name,
            args="(***)",
            kwargs=f"{{'task': '{claim.id}', 'step_number': {claim.step_number}}}",
            root_id=str(row["root_id"]),
            parent_id=str(row["parent_id"]) if row["parent_id"] else None,
            retries=claim.failures,
            **common,
        )
        self._dispatcher.send("task-started", **common)

    def ended(self, run: StepRun, outcome: str, error: BaseException | None = None) -> None:
        """`outcome`: succeeded, retried, failed, or dropped where another run owns the step."""
        claim = run.claim
        metrics.STEPS_RUNNING.dec()
        metrics.STEPS.labels(claim.agent, claim.step, outcome).inc()
        metrics.STEP_SECONDS.labels(claim.agent, claim.step).observe(run.seconds)
        uuid = f"{claim.id}:{claim.step_number}"
        if outcome == "succeeded":
            self._dispatcher.send("task-succeeded", uuid=uuid, result="(***)", runtime=run.seconds)
        elif outcome == "retried":
            self._dispatcher.send("task-retried", uuid=uuid, exception=type(error).__name__, traceback="")
        elif outcome == "failed":
            self._dispatcher.send("task-failed", uuid=uuid, exception=type(error).__name__, traceback="")
        else:
            self._dispatcher.send("task-revoked", uuid=uuid, terminated=False, signum=None, expired=False)

    def flush(self) -> None:
        try:
            self._dispatcher.flush()
        except (OperationalError, OSError) as error:
            log.debug("events for Flower were not sent: %s", error)

    def close(self) -> None:
        self.flush()
        self._connection.close()
