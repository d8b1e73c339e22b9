"""Telling a task of ours how the Celery task ended that its step has sent, and waits for."""

import logging
from typing import Any
from uuid import UUID

from agent_tasks.authoring.calls import recorded_errors
from agent_tasks.client.signals import awaited_names, is_over
from agent_tasks.deployment import Deployment
from agent_tasks.errors import AgentTaskError
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.task import payloads
from agent_tasks.transitions import signal

log = logging.getLogger(__name__)


def tell(deployment: Deployment, task_id: UUID, name: str, outcome: Any, error: dict[str, Any] | None) -> None:
    """Send the signal `name`, once however often this is called: what a Celery task returned, or the error as recorded.

    A task that has ended meanwhile is told nothing, and neither is one that has another signal under this id: that is
    an error of the log.
    """
    text = _payload(name, outcome, error, deployment.settings.payload_limit)

    def keep_and_deliver(connection: Connection) -> tuple[bool, list[Row]]:
        row = signal.lock(connection, task_id)
        if row is None or is_over(row):
            return False, []
        waiting_for = awaited_names(row)
        kept = signal.keep(connection, task_id, name, text, signal_id=name, sender=None, waiting_for=waiting_for)
        if kept is None:
            if not signal.is_kept(connection, task_id, name, signal_id=name):
                log.error(
                    "the end of a Celery task was not told, as its signal_id is another signal's: task=%s signal=%s",
                    *(task_id, name),
                )
            return True, []
        ring_seconds = deployment.settings.ring_seconds
        delivered = signal.deliver(connection, task_id, ring_seconds=ring_seconds, signal_id=name)
        return True, [delivered or kept]

    if not deployment.commit_for(keep_and_deliver):
        log.info("nobody waits any more for the end of a Celery task: task=%s signal=%s", task_id, name)


def _payload(name: str, outcome: Any, error: dict[str, Any] | None, limit: int) -> str:
    """Return the signal's payload as JSON; a result that cannot be handed on becomes an error that says so."""
    if error is not None:
        return payloads.encode({"error": error}, "error")
    try:
        result = payloads.stored(payloads.encode_value(outcome, f"result of the Celery task {name}", limit=limit))
    except AgentTaskError as problem:
        return payloads.encode({"error": recorded_errors.record(problem)}, "error")
    return payloads.encode({"result": result}, "result")
