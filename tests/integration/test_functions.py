"""Functions and errors in every form, run by the engine of a worker."""

from typing import Any

import pytest

from agent_tasks import InvalidInput
from agent_tasks.testing import Kit
from tests import agents_functions as agents_functions  # they are declared there


def result_of(kit: Kit, name: str) -> Any:
    """The result of the agent's task, whose retries are over within a minute."""
    kit.calls.allow()
    task = kit.submit(name)
    kit.clock.advance(minutes=1)
    return task.result()


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("wrapped-step", 4),
        ("calls-from-plain", [4, 3]),
        ("calls-from-async", [4, 3]),
        ("methods", "small"),
        ("decorated", "end"),
    ],
)
def test_a_function_runs_however_it_is_written(agent_tasks: Kit, name: str, result: Any) -> None:
    assert result_of(agent_tasks, name) == result


@pytest.mark.parametrize("name", ["grouped", "broken-text", "async-exit", "plain-exit"])
def test_an_error_that_retry_names_is_tried_again_however_it_is_raised(agent_tasks: Kit, name: str) -> None:
    assert result_of(agent_tasks, name) == 2


def test_a_plain_step_that_returns_a_coroutine_says_what_it_should_be(agent_tasks: Kit) -> None:
    with pytest.raises(InvalidInput, match="async def"):
        result_of(agent_tasks, "forgets-async")
