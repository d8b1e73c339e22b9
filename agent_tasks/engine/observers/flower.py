"""Celery events of steps, so that Flower sees each one under its name, in place or not."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from kombu.exceptions import OperationalError

from agent_tasks import metrics
from agent_tasks.engine.observers import step_span
from agent_tasks.engine.steps import failures
from agent_tasks.engine.steps.run import StepRun
from agent_tasks.tracing.spans import Spans, harmless

log = logging.getLogger(__name__)
_LIMIT = 10_000
_EVENT = {
    "succeeded": "task-succeeded",
    "retried": "task-retried",
    "parked": "task-retried",  # it comes back
    "failed": "task-failed",
    "dropped": "task-revoked",
}


class Telemetry:
    """Notes what happens and sends it at each flush; events are the first thing to go when Redis is away.

    A step that began and ended between two flushes is one event, which has its three times.
    """

    def __init__(self, app: Any, node: str, spans: Spans, *, sends_events: bool) -> None:
        self._spans = spans
        self._lock = threading.Lock()
        self._begun: dict[StepRun, float] = {}
        self._announced: set[StepRun] = set()
        self._ended: list[tuple[str, dict[str, Any]]] = []
        self._app = app
        self._connection = app.connection_for_write()
        self._dispatcher = app.events.Dispatcher(
            self._connection, enabled=sends_events, hostname=node, buffer_group=frozenset({"task"}), buffer_limit=_LIMIT
        )

    def started(self, run: StepRun) -> None:
        metrics.STEPS_RUNNING.inc()
        metrics.QUEUE_SECONDS.labels(run.claim.row["queue"]).observe(run.claim.row["queued_seconds"])
        if (span := step_span.begin(self._spans, run.claim)) is not None:
            run.span = run.operations.span = span
            with harmless():
                span.waited(run.operations.senders)
        with self._lock:
            self._begun[run] = time.time()

    def ended(self, run: StepRun, state: str, error: BaseException | None = None) -> None:
        """Note the end of a run: succeeded, retried, failed, parked, or dropped. Only the first note counts."""
        claim, seconds = run.claim, run.seconds
        with self._lock:
            began = self._begun.pop(run, None)
            self._announced.discard(run)
        if began is None:
            return
        metrics.STEPS_RUNNING.dec()
        if run.span is not None:
            run.span.end(state, error)
        metrics.STEPS.labels(claim.agent, claim.step, state).inc()
        metrics.STEP_SECONDS.labels(claim.agent, claim.step).observe(seconds)
        event = _description(run) | {"timestamp": time.time(), "runtime": seconds}
        if state == "succeeded":
            event["result"] = "(***)"
        elif error is not None:
            event.update(failures.for_flower(run, error))
        elif state == "dropped":
            event.update(terminated=False, signum=None, expired=False)
        event["received"] = event["started"] = began
        if error is not None and state == "retried":
            failures.report_retry(run, error)
        elif error is not None:
            failures.report_failure(self._app, run, error)
        with self._lock:
            self._ended.append((_EVENT[state], event))

    def flush(self) -> None:
        with self._lock:
            new = [(run, began) for run, began in self._begun.items() if run not in self._announced]
            self._announced.update(run for run, _ in new)
            ended, self._ended = self._ended, []
        for run, began in new:
            self._dispatcher.send("task-received", timestamp=began, **_description(run))
            self._dispatcher.send("task-started", timestamp=began, uuid=_uuid(run))
        for type_, event in ended:
            self._dispatcher.send(type_, **event)
        try:
            self._dispatcher.flush()
        except (OperationalError, OSError) as error:
            log.debug("events for Flower were not sent: %s", error)

    def close(self) -> None:
        self.flush()
        self._connection.close()


def show_running(heart: Any, running: Callable[[], int]) -> None:
    """Follow a heartbeat of Celery's, which counts messages, by one that counts the steps that run."""
    beat = {"freq": heart.interval, "retry": False}
    heart.timer.call_after(0, lambda: heart.eventer.send("worker-heartbeat", active=running(), **beat))


def _uuid(run: StepRun) -> str:
    """Return the task's id for its first step, `id:step_number` for the others, so that Flower also links root and
    parent."""
    claim = run.claim
    if claim.undo_step is not None:
        return f"{claim.id}:undo:{claim.undo_step}"
    return f"{claim.id}:{claim.step_number}" if claim.spent.steps else str(claim.id)


def _description(run: StepRun) -> dict[str, Any]:
    claim, uuid = run.claim, _uuid(run)
    parent = claim.row["parent_id"] if uuid == str(claim.id) else claim.id
    return {
        "uuid": uuid,
        "name": run.step.task_name,
        "args": "(***)",
        "kwargs": f"{{'task': '{claim.id}', 'step_number': {claim.step_number}}}",
        "root_id": str(claim.row["root_id"]),
        "parent_id": str(parent) if parent else None,
        "retries": claim.failures,
    }
