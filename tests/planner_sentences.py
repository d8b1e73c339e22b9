"""The sentences that users of the planning agent say, word by word, with what is answered: for every door it has."""

import re
from collections.abc import Callable
from uuid import UUID

from tests.eventually import eventually

SUBMITTED = re.compile(r"Task ID: ([0-9a-f-]{36})\. Use get_task_result\(\) to check status")
SHOP = "a web shop: Customers must be able to pay by card. Orders should be exported to SAP within 5 minutes."
ASYNC = [
    f"Submit async: parse requirements for {SHOP}",
    f"In background, parse requirements for {SHOP}",
    f"Fire and forget: parse requirements for {SHOP}",
    f"Use async mode to parse requirements for {SHOP}",
    f"Submit task: parse requirements for {SHOP}",
]
"""Answered with a task's id, at once."""
COMPLEX = [
    "Generate a comprehensive implementation plan for a CRM",
    "Create a detailed project plan for a CRM",
    "Write an enterprise roadmap for a CRM",
    "Generate an implementation plan with ten phases for a CRM",
    "Generate a 10-phase implementation plan for a CRM",
    "Generate a plan with risk analysis for a CRM",
]
"""Answered with a task's id, since they ask for much."""
SYNC = {
    f"Parse requirements for {SHOP}": "Customers must be able to pay by card",
    "Generate a 3-phase implementation plan for a CRM with SAP export, reports, and user roles": "## Phase 3: ",
    "Validate this plan: Phase 1: Design, after phase 2. Phase 2: Build, after phase 1.": "in a circle",
}
"""Answered with the result, of which the text is a part."""

Ask = Callable[[str], str]
"""Say a prompt in one session, and return the answer."""


def task_ids(answer: str) -> list[str]:
    found = SUBMITTED.findall(answer)
    assert found, answer
    assert all(str(UUID(id)) == id for id in found)
    return found


def result_by(ask: Ask, prompt: str) -> str:
    """Ask until the task that a prompt asks for has completed; return the result's text."""

    def completed() -> str | None:
        answer = ask(prompt)
        assert "Task Failed" not in answer, answer
        return answer if "Task Completed! Result: " in answer else None

    return eventually(completed).partition("Task Completed! Result: ")[2]


def check_async_sentences(ask: Ask) -> None:
    """Each is answered with an id of its own, by which the result is found."""
    ids = [task_ids(ask(sentence)) for sentence in ASYNC]
    assert all(len(found) == 1 for found in ids)
    assert len({found[0] for found in ids}) == len(ASYNC)
    for (id,) in ids[:2]:
        assert "Customers must be able to pay by card" in result_by(ask, f"Get result for task ID {id}")
        assert "Customers must be able to pay by card" in result_by(ask, f"Check status of task ID {id}")


def check_complex_sentences(ask: Ask) -> None:
    for sentence in COMPLEX:
        assert len(task_ids(ask(sentence))) == 1


def check_sync_sentences(ask: Ask) -> None:
    for sentence, part in SYNC.items():
        answer = ask(sentence)
        assert not SUBMITTED.search(answer)
        assert part in answer
        assert "No model wrote this" in answer


def check_several_tasks(ask: Ask) -> None:
    answer = ask(
        "Submit 3 tasks: parse requirements for a shop that must sell, a bank that must pay, and a zoo that must feed"
    )
    ids = task_ids(answer)
    assert len(set(ids)) == 3
    for id, said in zip(ids, ("must sell", "must pay", "must feed"), strict=True):
        assert said in result_by(ask, f"Get result for task ID {id}")


def check_last_task(ask: Ask) -> None:
    """“Check status” is about the task that was submitted last, whatever was asked since."""
    ask("Submit async: parse requirements for a mill that must grind")
    (last,) = task_ids(ask("Submit async: parse requirements for a boat that must float"))
    assert "must float" in result_by(ask, "Check status")
    assert ask("Check status").startswith(f"Task ID: {last}. Task Completed!")


def check_all(ask: Ask) -> None:
    check_async_sentences(ask)
    check_complex_sentences(ask)
    check_sync_sentences(ask)
    check_several_tasks(ask)
    check_last_task(ask)
