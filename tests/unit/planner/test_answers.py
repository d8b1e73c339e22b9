"""The words in which the planner speaks of a task."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat as uuid_utils

from agent_tasks import ErrorInfo, TaskSnapshot, TaskStatus
from agent_tasks.bundled.planner import answers
from agent_tasks.errors import BudgetExhausted, InvalidInput, StepFailed, UpstreamUnavailable
from agent_tasks.task.budget import Budget, Remaining, Spend
from agent_tasks.task.snapshot import BudgetState, WaitingFor

ID = UUID("0198c2f4-7c1a-7e53-b9d1-3c0f6a9be011")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def task(status: TaskStatus, error: ErrorInfo | None = None, **fields: Any) -> TaskSnapshot:
    budget = BudgetState(limit=Budget(), spent=Spend(), remaining=Remaining())
    known: dict[str, Any] = {"step": "write", "step_number": 1, "attempt": 1, "version": 1, "queue": "q"}
    return TaskSnapshot(
        id=ID,
        agent="planner",
        status=status,
        budget=budget,
        root_id=ID,
        created_at=NOW,
        error=error,
        **{**known, **fields},
    )


def test_a_submit_is_answered_word_by_word() -> None:
    assert answers.submitted(ID) == f"Task ID: {ID}. Use get_task_result() to check status"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (TaskStatus.PENDING, f"Task Pending: {ID} is queued. Ask again in a moment."),
        (TaskStatus.RUNNING, "Task Processing..."),
        (TaskStatus.COMPLETED, "Task Completed! Result: # Plan"),
    ],
)
def test_each_state_has_its_words(status: TaskStatus, said: str) -> None:
    assert answers.described(task(status, result={"text": "# Plan\n"})) == said


def test_a_task_that_waits_for_a_throttled_model_is_processing() -> None:
    waiting = WaitingFor(kind="retry", since=NOW, until=NOW + timedelta(seconds=30))
    said = answers.described(task(TaskStatus.WAITING, waiting_for=waiting))
    assert said == "Task Processing... The model did not answer; it is asked again at 00:00:30 UTC."


@pytest.mark.parametrize(
    ("error", "guidance"),
    [
        (UpstreamUnavailable("The model did not answer", retry_after=30), "submit it again in 30 seconds or later"),
        (UpstreamUnavailable("The model did not answer"), "submit it again in a minute or later"),
        (InvalidInput("The text is empty."), "To retry, change what that says"),
        (BudgetExhausted("No tokens left", resource="tokens"), "larger budget"),
        (StepFailed("It broke"), "A retry alone will not help"),
    ],
)
def test_a_failure_says_why_and_how_to_retry(error: Any, guidance: str) -> None:
    said = answers.described(task(TaskStatus.FAILED, error.info))
    assert said.startswith(f"Task Failed: {error.info.message.rstrip('.')}. ")
    assert guidance in said


def test_an_id_says_when_it_was_made() -> None:
    made = answers.made_at(uuid_utils.uuid7())
    assert made is not None
    assert abs(made - datetime.now(UTC)) < timedelta(minutes=1)
    assert answers.made_at(UUID(int=0)) is None


def test_an_id_of_a_time_beyond_all_dates_is_one_that_nobody_made() -> None:
    assert answers.made_at(UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")) is None
