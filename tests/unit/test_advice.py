"""What the command line advises for each way in which a task can end: a command that exists, and that would help."""

import re
import shlex
from typing import Any

import pytest
import typer

from agent_tasks.cli.advice import advice
from agent_tasks.cli.application import app
from agent_tasks.errors import (
    BudgetExhausted,
    ContextLost,
    ErrorInfo,
    ErrorType,
    InvalidInput,
    PartialCompletion,
    PayloadTooLarge,
    PermissionDenied,
    Poison,
    StepFailed,
    SuggestedAction,
    TaskCancelled,
    UpstreamUnavailable,
)

ID = "0198c2f4-0000-7000-8000-000000000000"
CHILD = "0198c2f4-0000-7000-8000-000000000001"
COMMAND = re.compile(r"agent-tasks (?:[a-z]\S*(?: (?:--\S+|N|[0-9a-f-]{36}))*)")
RESUME = f"agent-tasks resume {ID}"


def resumable(error: ErrorInfo) -> ErrorInfo:
    return error.model_copy(update={"suggested_action": SuggestedAction.RESUME})


CASES: list[tuple[ErrorInfo, str, list[str]]] = [
    (StepFailed("x").info, "Fix the code", [f"agent-tasks status --traceback {ID}", RESUME]),
    (resumable(StepFailed("x").info), "Try it again", [RESUME]),
    *(
        (BudgetExhausted.of(name, 1, 2).info, "Give it more", [f"{RESUME} --budget-{name} N"])
        for name in ("seconds", "tokens", "usd", "steps", "calls")
    ),
    (BudgetExhausted("x", resource="children", limit=5, asked=6).info, "AGENT_TASKS_MAX_CHILDREN", [RESUME]),
    (BudgetExhausted("x", resource="children", limit=5, depth=6).info, "AGENT_TASKS_MAX_DEPTH", [RESUME]),
    (UpstreamUnavailable("x").info, "answers again", [RESUME]),
    (PartialCompletion("x").info, "Use its result", [RESUME]),
    (PartialCompletion("x", child=CHILD).info, "child", [f"agent-tasks status {CHILD}"]),
    (ContextLost("x").info, "", [f"agent-tasks events {ID}"]),
    (resumable(ContextLost("x").info), "Start a worker", [RESUME]),
    (ContextLost("x", purged=True).info, "submit it again", []),
    (InvalidInput("x").info, "Correct the input", []),
    (InvalidInput("x").info.model_copy(update={"checkpoint": 3}), "Correct the step", [RESUME]),
    (PermissionDenied("x").info, "identity", []),
    (PayloadTooLarge("x").info, "AGENT_TASKS_PAYLOAD_LIMIT", []),
    (Poison("x").info, "logs", [RESUME]),
    (TaskCancelled("x").info, "go on after all", [RESUME]),
    (StepFailed("x", not_undone=[{"step": "pay"}]).info, "by hand", [f"{RESUME} --from-step N"]),
]


@pytest.mark.parametrize(("error", "said", "commands"), CASES)
def test_the_advice_follows_from_what_happened(error: ErrorInfo, said: str, commands: list[str]) -> None:
    text = advice(ID, error)
    assert said in text
    assert COMMAND.findall(text) == commands


def test_every_type_of_error_has_its_advice_and_every_advice_its_case() -> None:
    assert {error.type for error, _, _ in CASES} == set(ErrorType)


@pytest.mark.parametrize("command", sorted({command for _, _, commands in CASES for command in commands}))
def test_each_command_that_is_advised_exists_with_its_options(command: str) -> None:
    name, *arguments = shlex.split(command.replace(" N", " 1"))[1:]
    group: Any = typer.main.get_command(app)
    context = group.commands[name].make_context(name, arguments)
    assert context.params["id"] in (ID, CHILD)


def test_nothing_is_advised_where_nothing_is_wrong() -> None:
    assert advice(ID, None) == ""
