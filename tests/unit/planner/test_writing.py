"""Writing with a model, offline."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import ModelResponse, ToolCallPart
from pydantic_ai.exceptions import ModelAuthenticationError, ModelConnectionError, ModelHTTPError, ModelNotFoundError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RequestUsage

from agent_tasks import InvalidInput, UpstreamUnavailable
from agent_tasks.bundled.asking import MOST_REQUESTS, Answer
from agent_tasks.bundled.planner.agent import planner
from agent_tasks.bundled.planner.results import Operation, PlanBody
from agent_tasks.bundled.planner.rules import finished
from agent_tasks.bundled.planner.writing import BODIES, LONGEST, write

PHASE = {"number": 1, "name": "Build", "goal": "It works.", "tasks": ["Build it.\x00"]}
GOOD = {"title": "A shop", "summary": "Short.", "phases": [PHASE, {**PHASE, "number": 2, "depends_on": [1]}]}
CIRCULAR = {**GOOD, "phases": [{**PHASE, "depends_on": [2]}, {**PHASE, "number": 2, "depends_on": [1]}]}
Said = dict[str, Any] | Exception


def model(*answers: Said, seen: list[list[ModelMessage]] | None = None) -> FunctionModel:
    """A model that answers, or raises, these in turn, the last one again and again."""
    queue = list(answers)

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if seen is not None:
            seen.append(messages)
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        call = ToolCallPart(info.output_tools[0].name, answer)
        return ModelResponse(parts=[call], usage=RequestUsage(input_tokens=100, output_tokens=20))

    return FunctionModel(respond)


def ask(of: Any, operation: Operation = "generate_plan", text: str = "A shop must sell.") -> Answer:
    return asyncio.run(write(of, operation, text))


def throttled(status: int = 429, **headers: str) -> ModelHTTPError:
    return ModelHTTPError(status, "m", None, headers=headers or None)


def test_a_plan_that_a_model_writes_is_a_plan_like_any() -> None:
    seen: list[list[ModelMessage]] = []
    answer = ask(model(GOOD, seen=seen))
    assert answer["written"] is not None
    plan = finished(PlanBody.model_validate(answer["written"]), "m", "Written by m.")
    assert plan.model == "m"
    assert "## Phase 2: Build" in plan.text
    assert "A shop must sell." in str(seen[0])
    assert answer["tokens"] == 120
    assert "\x00" not in plan.model_dump_json()


@pytest.mark.parametrize("operation", BODIES)
def test_each_operation_has_an_output_that_a_model_can_fill(operation: Operation) -> None:
    outputs = {
        "generate_plan": GOOD,
        "parse_requirements": {"title": "T", "summary": "S"},
        "validate_plan": {"title": "T", "summary": "S", "verdict": "ready"},
    }
    answer = ask(TestModel(custom_output_args=outputs[operation]), operation)
    assert answer["written"] is not None
    assert BODIES[operation].model_validate(answer["written"]).title == outputs[operation]["title"]


@pytest.mark.parametrize(
    "wrong",
    [
        CIRCULAR,
        {**GOOD, "phases": [{**PHASE, "depends_on": [9]}]},
        {**GOOD, "phases": [{**PHASE, "number": 3}]},
        {**GOOD, "phases": []},
        {"title": "only"},
    ],
)
def test_an_answer_that_breaks_the_form_is_asked_for_again(wrong: dict[str, Any]) -> None:
    answer = ask(model(wrong, GOOD))
    assert answer["written"] is not None
    assert answer["tokens"] == 240


def test_a_model_that_keeps_to_no_form_gives_nothing_but_still_has_cost() -> None:
    answer = ask(model(CIRCULAR))
    assert answer["written"] is None
    assert answer["problem"]
    assert answer["tokens"] == 120 * MOST_REQUESTS


@pytest.mark.parametrize("status", [429, 503])
def test_a_model_that_throttles_is_upstream_unavailable_and_then_answers(status: int) -> None:
    busy = model(throttled(status, **{"retry-after": "7"}), GOOD)
    with pytest.raises(UpstreamUnavailable) as error:
        ask(busy)
    assert error.value.retry_after == 7
    retry = planner.steps["write"].retry
    assert (retry.delay(error.value, 1, lambda least, most: most) or 0) >= 7
    assert ask(busy)["written"] is not None


def test_without_a_time_to_wait_each_pause_may_be_twice_as_long() -> None:
    with pytest.raises(UpstreamUnavailable) as error:
        ask(model(throttled()))
    retry = planner.steps["write"].retry
    longest: Callable[[float, float], float] = lambda least, most: most  # noqa: E731
    assert [retry.delay(error.value, failures, longest) for failures in range(1, 7)] == [2, 4, 8, 16, 32, None]


@pytest.mark.parametrize(
    "of", [model(ModelAuthenticationError("m", "no key")), model(ModelNotFoundError("m", "unknown")), "nonsense"]
)
def test_a_model_that_cannot_be_used_is_invalid_input(of: Any) -> None:
    with pytest.raises(InvalidInput, match="The model cannot be used"):
        ask(of)


def test_a_provider_that_is_away_is_upstream_unavailable() -> None:
    with pytest.raises(UpstreamUnavailable):
        ask(model(ModelConnectionError("m", "refused")))


def test_a_model_is_shown_no_more_of_a_text_than_it_can_read() -> None:
    seen: list[list[ModelMessage]] = []
    ask(model(GOOD, seen=seen), text="x" * (LONGEST + 1) + "the end")
    assert "the end" not in str(seen[0])
