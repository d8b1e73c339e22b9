"""The sentences that the planner understands, and what it says of those that it does not."""

from typing import Any
from uuid import UUID

import pytest

from agent_tasks.authoring.expectation import is_long
from agent_tasks.bundled.planner.hints import HINTS
from agent_tasks.bundled.planner.sentences import MOST_TASKS, Do, Job, Look, Unclear, understood
from tests import planner_sentences as sentences

ID = UUID("0198c2f4-7c1a-7e53-b9d1-3c0f6a9be011")


def done(prompt: str) -> list[tuple[str, str]]:
    meaning = understood(prompt)
    assert isinstance(meaning, Do), meaning
    return [(job.operation, job.text) for job in meaning.jobs]


def is_async(prompt: str) -> bool:
    meaning = understood(prompt)
    assert isinstance(meaning, Do), meaning
    return meaning.how == "async" or is_long(HINTS, {"prompt": prompt}, lambda: 1.0)[0]


@pytest.mark.parametrize(
    ("prompt", "operation", "text"),
    [
        ("Parse requirements for a shop", "parse_requirements", "a shop"),
        ("please extract the requirements from this: Users must log in.", "parse_requirements", "Users must log in."),
        ("Validate this plan: 1. a 2. b", "validate_plan", "1. a 2. b"),
        ("Review the following implementation plan:\n1. a\n2. b", "validate_plan", "1. a\n2. b"),
        (
            "Generate a 3-phase implementation plan for X",
            "generate_plan",
            "Generate a 3-phase implementation plan for X",
        ),
        ("Can you create a project plan for X?", "generate_plan", "create a project plan for X?"),
        ("Analysiere die Anforderungen: Nutzer müssen zahlen", "parse_requirements", "Nutzer müssen zahlen"),
        ("Erstelle einen Projektplan für X", "generate_plan", "Erstelle einen Projektplan für X"),
    ],
)
def test_an_operation_is_known_by_its_sentence(prompt: str, operation: str, text: str) -> None:
    assert done(prompt) == [(operation, text)]


@pytest.mark.parametrize("prompt", sentences.ASYNC)
def test_what_is_to_run_in_the_background_is_the_same_operation(prompt: str) -> None:
    assert done(prompt) == [("parse_requirements", sentences.SHOP)]
    assert is_async(prompt)


@pytest.mark.parametrize("prompt", ["Parse requirements for X in the background", "Parse requirements for X (async)"])
def test_the_background_may_be_named_at_the_end(prompt: str) -> None:
    assert done(prompt) == [("parse_requirements", "X")]
    assert is_async(prompt)


@pytest.mark.parametrize(
    "prompt", [*sentences.COMPLEX, "Plan for a CRM with 12 phases", "Erstelle einen umfassenden Projektplan für X"]
)
def test_what_asks_for_much_is_not_waited_for(prompt: str) -> None:
    assert is_async(prompt)


@pytest.mark.parametrize("prompt", [*sentences.SYNC, "Generate a plan in 9 phases for X"])
def test_other_sentences_are_waited_for(prompt: str) -> None:
    assert not is_async(prompt)


def test_past_runs_that_were_long_make_it_async() -> None:
    assert is_long(HINTS, {"prompt": "Parse requirements for X"}, lambda: 11.0)[0]


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("Submit 3 tasks: parse requirements for A, B, and C", ["A", "B", "C"]),
        ("submit three tasks: parse requirements for A, B and C.", ["A", "B", "C"]),
        ("Submit 2 tasks: parse requirements for A and B", ["A", "B"]),
        ("Submit 2 tasks: parse requirements for search and filter, and login", ["search and filter", "login"]),
        ("Submit 2 tasks:\n1. parse requirements for A, B\n2. validate this plan: x", ["A, B", "x"]),
        ("Submit 2 tasks: parse requirements for A; validate this plan: x, y", ["A", "x, y"]),
        ("Submit 2 tasks: generate plans for A and B", ["generate plan for A", "generate plan for B"]),
    ],
)
def test_several_tasks_are_told_apart(prompt: str, texts: list[str]) -> None:
    assert [text for _, text in done(prompt)] == texts
    assert is_async(prompt)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (
            "Submit 3 tasks: parse requirements for A and B",
            "3 tasks were asked for, and 2 found: A; B. Nothing was submitted.",
        ),
        (f"Submit {MOST_TASKS + 1} tasks: parse requirements for A", f"At most {MOST_TASKS} tasks"),
        ("Submit 0 tasks: parse requirements for A", "at least 1"),
        ("submit task", "Say what the task is to do"),
        ("Parse requirements for", "The text is missing"),
        ("Validate this plan: …", "The plan is missing"),
        ("Get result for task ID 12345", "“12345” is no task ID"),
        ("Get result for task ID", "Name the task"),
        ("What a lovely day", "I do not know what to do with “What a lovely day”"),
        (" \n", "The prompt is empty"),
    ],
)
def test_a_prompt_that_cannot_be_followed_is_answered_with_what_to_say(prompt: str, said: str) -> None:
    meaning = understood(prompt)
    assert isinstance(meaning, Unclear)
    assert said in meaning.answer


@pytest.mark.parametrize(
    "prompt",
    [
        f"Get result for task ID {ID}",
        f"get the result of task id: {ID}.",
        f"Check status of task ID {ID}",
        f"What is the status of task {ID}?",
        f"get_task_result('{ID}')",
        f"Please show me the status for `{ID.hex}`",
    ],
)
def test_a_task_is_asked_for_by_its_id(prompt: str) -> None:
    assert understood(prompt) == Look([ID])


@pytest.mark.parametrize(
    "prompt", ["Check status", "check the status please", "Status?", "What's the status of my task?"]
)
def test_without_an_id_the_last_task_is_meant(prompt: str) -> None:
    assert understood(prompt) == Look([])


def test_a_long_text_is_handed_on_as_it_is() -> None:
    text = "Users must wait.\n" * 20_000
    assert understood(f"Parse requirements for:\n{text}") == Do(
        [Job("parse_requirements", text.strip(), ("Users must wait. " * 5)[:79].rstrip() + "…")]
    )


@pytest.mark.parametrize(
    "prompt", ["x" * 500_000, "submit " * 50_000, "plan for " * 50_000, "Submit 3 tasks: " + "and " * 50_000]
)
def test_no_prompt_takes_long_to_read(prompt: str) -> None:
    meaning: Any = understood(prompt)
    assert isinstance(meaning, Do | Unclear)
