"""Question: a payload that asks how a task stands, and starts nothing."""

import re
from dataclasses import dataclass
from typing import Any, cast

_UUID = r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}"
_SENTENCE = re.compile(
    rf"(?:please )?(?:check|get|show) (?:me )?(?:the )?(?:status|results?)"
    rf"(?: (?:of|for)(?: the| my)?(?: task(?: id)?:?)?(?:(?: |(?<=:))(?P<id>{_UUID}))?)? ?[.!?]*",
    re.IGNORECASE,
)
"""Of a text whose words stand one space apart."""
_LONGEST = 200
"""A text of more characters asks for more than how a task stands, and is not looked at: the event loop waits here."""


@dataclass(frozen=True)
class Question:
    """`task_id`: the task that is meant; None: the session's last."""

    task_id: str | None = None


def question_of(payload: Any) -> Question | None:
    """The question that a payload is; None where it is none.

    `{"task_id": ID}`, `{"action": "status"}`, with or without a `task_id`, and the sentences "Check status", "Check
    status of task ID" and "Get result for task ID", as the payload itself or as its `prompt` and nothing else.
    """
    if isinstance(payload, str):
        return _of_text(payload)
    if not isinstance(payload, dict):
        return None
    given = cast(dict[str, Any], payload)
    if given.keys() == {"prompt"} and isinstance(given["prompt"], str):
        return _of_text(given["prompt"])
    asks = given.keys() == {"task_id"} or (given.keys() <= {"task_id", "action"} and given.get("action") == "status")
    task_id = given.get("task_id")
    return Question(task_id) if asks and isinstance(task_id, str | None) else None


def _of_text(text: str) -> Question | None:
    if len(text) > _LONGEST:
        return None
    found = _SENTENCE.fullmatch(" ".join(text.split()))
    return Question(found["id"]) if found else None
