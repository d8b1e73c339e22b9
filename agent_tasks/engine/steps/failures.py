"""Reports of a step that raised: the log, Celery's failure signal, and what Flower shows."""

import logging
from traceback import clear_frames
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import signals

from agent_tasks.engine.steps.raised import NOT_SHOWN, formatted, said, theirs
from agent_tasks.engine.steps.run import StepRun
from agent_tasks.errors import AgentTaskError, StepFailed, leaves
from agent_tasks.transitions.claim import Claim

log = logging.getLogger(__name__)


def shown_error(claim: Claim, error: BaseException) -> BaseException:
    """The error as it may leave the database: of a sensitive agent only its type and where it was raised.

    Its traceback has no values of variables either, which some listeners would take along.
    """
    if not claim.row["sensitive"]:
        return error
    clear_frames(error.__traceback__)
    return StepFailed(f"{type(error).__qualname__} ({NOT_SHOWN})").with_traceback(error.__traceback__)


def report_retry(run: StepRun, error: BaseException) -> None:
    log.warning(
        "step will be tried again: task=%s step=%s attempt=%d error=%s",
        run.claim.id,
        run.step.task_name,
        run.claim.attempt,
        said(shown_error(run.claim, error)),
        exc_info=_traceback(shown_error(run.claim, error)),
    )


def report_failure(app: Any, run: StepRun, error: BaseException) -> None:
    """Log the failure, at ERROR unless it is a typed error, and send Celery's `task_failure` signal."""
    shown = shown_error(run.claim, error)
    expected = all(isinstance(each, AgentTaskError) and not isinstance(each, StepFailed) for each in leaves(error))
    log.log(
        logging.WARNING if expected else logging.ERROR,
        "step failed: task=%s step=%s attempt=%d error=%s",
        run.claim.id,
        run.step.task_name,
        run.claim.attempt,
        said(shown),
        exc_info=_traceback(shown),
    )
    signals.task_failure.send(
        sender=app.tasks.get(run.step.task_name),
        task_id=str(run.claim.id),
        exception=shown,
        args=(),
        kwargs={},
        traceback=theirs(shown),
        einfo=_einfo(shown),
    )


def for_flower(run: StepRun, error: BaseException) -> dict[str, str]:
    """The fields of Celery's events on failed and retried tasks."""
    shown = shown_error(run.claim, error)
    return {"exception": said(shown)[:1000], "traceback": formatted(shown)[-10_000:]}


def _einfo(error: BaseException) -> ExceptionInfo | None:
    try:
        return ExceptionInfo(_traceback(error)) if error.__traceback__ else None
    except Exception:  # it breaks what formats it
        return None


def _traceback(error: BaseException) -> Any:
    return type(error), error, theirs(error)
