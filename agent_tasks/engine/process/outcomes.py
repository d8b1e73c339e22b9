"""The two Celery tasks by which tasks of a team's app tell a waiting step of their end."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery.exceptions import Reject

from agent_tasks.authoring.calls import recorded_errors
from agent_tasks.client.outcome import tell
from agent_tasks.doorbell.outcome import ENDED, FAILED, is_sealed
from agent_tasks.doorbell.step_task import StepTask
from agent_tasks.engine.process.runtime import Runtime
from agent_tasks.errors import StepFailed

log = logging.getLogger(__name__)
_LONGEST_PAUSE = 30.0


class OutcomeTask(StepTask):
    """A task of ours whose message is all that says how a task ended: kept until that is written to Postgres."""

    abstract = True
    acks_late = True
    reject_on_worker_lost = True
    max_retries = None


def _again_later(task: Any, problem: Exception | None = None) -> None:
    """Have the message of this task come again in a while, also where the broker takes no new one now.

    Raises what Celery is to do with it; the problem itself where there is no message: a worker of theirs calls FAILED.
    """
    try:
        task.retry(exc=problem, countdown=min(_LONGEST_PAUSE, 2.0 ** min(task.request.retries, 5)))
    except Reject as lost:
        raise Reject(lost.reason, requeue=True) from lost


def register(app: Any, runtime: Callable[[], Runtime | None], **options: Any) -> None:
    """Register the two; they write to Postgres by the runtime of the process that runs them, if it has begun."""

    def ended(
        task: Any, outcome: Any = None, /, *, to: str, signal: str, seal: str = "", error: dict[str, Any] | None = None
    ) -> None:
        """Tell the task `to`; later, where that does not succeed."""
        mine = runtime()
        try:
            if mine is not None and mine.gate.is_open:
                if not is_sealed(to, signal, seal, mine.client.outcome_keys):
                    log.error("a message that tells of the end of a Celery task is not signed by us: task=%s", to)
                    return
                tell(mine.client, UUID(to), signal, outcome, error)
                return
        except Exception as problem:  # whatever it is: nothing else says how that task ended
            log.warning("the end of a Celery task is told later: task=%s error=%s", to, problem)
        _again_later(task)

    def failed(
        request: Any, exc: Any = None, traceback: Any = None, *, to: str, signal: str, seal: str, queue: str
    ) -> None:
        """Send on with what a task failed: in its own worker, or where that does not know this task, without."""
        if exc is None:
            exc = StepFailed(
                f"The Celery task {request} failed in a worker without agent_tasks, whose log says why: call "
                "install(app) there, too, to have its error here",
                celery_task_id=str(request),
            )
        error = recorded_errors.record(exc)
        told = {"to": to, "signal": signal, "seal": seal, "error": error}
        try:
            app.tasks[ENDED].apply_async((None,), told, queue=queue)
        except Exception as problem:  # of whatever transport it is
            log.warning("the failure of a Celery task is told later: task=%s error=%s", to, problem)
            _again_later(app.tasks[FAILED], problem)

    serializer = app.conf.task_serializer  # of what the team's tasks return
    app.task(base=OutcomeTask, name=ENDED, bind=True, shared=False, serializer=serializer, **options)(ended)
    app.task(base=OutcomeTask, name=FAILED, shared=False, serializer=serializer, **options)(failed)
