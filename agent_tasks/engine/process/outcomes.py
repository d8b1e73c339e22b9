"""The two Celery tasks by which tasks of a team's app tell a waiting step of their end."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

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


def register(app: Any, runtime: Callable[[], Runtime], **options: Any) -> None:
    """Register the two; they write to Postgres by the runtime of the process that runs them."""

    def ended(
        task: Any, outcome: Any = None, /, *, to: str, signal: str, seal: str = "", error: dict[str, Any] | None = None
    ) -> None:
        """Tell the task `to`; later, where that does not succeed."""
        mine = runtime()
        try:
            if mine.gate.is_open:
                if not is_sealed(to, signal, seal, mine.client.outcome_keys):
                    log.error("a message that tells of the end of a Celery task is not signed by us: task=%s", to)
                    return
                tell(mine.client, UUID(to), signal, outcome, error)
                return
        except Exception as problem:  # whatever it is: nothing else says how that task ended
            log.warning("the end of a Celery task is told later: task=%s error=%s", to, problem)
        raise task.retry(countdown=min(_LONGEST_PAUSE, 2.0 ** min(task.request.retries, 5)))

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
        app.tasks[ENDED].apply_async((None,), {"to": to, "signal": signal, "seal": seal, "error": error}, queue=queue)

    serializer = app.conf.task_serializer  # of what the team's tasks return
    app.task(base=OutcomeTask, name=ENDED, bind=True, shared=False, serializer=serializer, **options)(ended)
    app.task(base=StepTask, name=FAILED, shared=False, serializer=serializer, **options)(failed)
