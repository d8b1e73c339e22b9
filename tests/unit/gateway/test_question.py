"""Which payloads ask how a task stands."""

from typing import Any

import pytest

from agent_tasks.gateway.agentcore.question import Question, question_of

ID = "0198c2f4-7c1a-7e53-b9d1-3c0f6a9be011"


@pytest.mark.parametrize(
    "text",
    [
        f"Check status of task {ID}",
        f"Get result for task ID {ID}",
        f"  please\tshow me  the results for my task ID: {ID} ?!\n",
        f"get the status of {ID.replace('-', '')}.",
        f"CHECK STATUS OF TASK ID:{ID}",
    ],
)
def test_a_sentence_asks_for_the_task_that_it_names(text: str) -> None:
    asked = question_of(text)
    assert asked == question_of({"prompt": text})
    assert asked is not None
    assert asked.task_id is not None
    assert asked.task_id.replace("-", "") == ID.replace("-", "")


@pytest.mark.parametrize("text", ["Check status", "show me the results!", "Check  status  of my task ."])
def test_a_sentence_that_names_no_task_asks_for_the_last(text: str) -> None:
    assert question_of(text) == Question(None)


@pytest.mark.parametrize(
    "payload",
    [
        "Check the status page of our shop",
        f"Check status of task {ID} and start the next",
        f"Check status {ID}",
        {"prompt": "Check status", "to": 1},
        {"task_id": 7},
        {"action": "stop"},
        ["Check status"],
    ],
)
def test_what_says_more_or_something_else_is_no_question(payload: Any) -> None:
    assert question_of(payload) is None


@pytest.mark.timeout(20)
def test_however_many_spaces_a_text_has_it_is_looked_at_in_no_time() -> None:
    """Tried in all their divisions, these would take hours."""
    for begin in ("check status for task", "check status", "check status of the task id", ""):
        assert question_of(begin + " " * 100_000 + "x") is None
