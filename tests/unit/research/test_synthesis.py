"""Writing with a model, offline."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import ModelResponse, ToolCallPart
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from agent_tasks import InvalidInput, UpstreamUnavailable
from agent_tasks.bundled.asking import MOST_REQUESTS, Answer
from agent_tasks.bundled.research import specialists
from agent_tasks.bundled.research.synthesis import synthesise
from tests.unit.research.contexts import FakeSyncContext, run
from tests.unit.research.corpus import write_corpus

QUESTION = "How does the system recover when a worker dies?"
PASSAGES = [
    {"text": "The sweep requeues the step.", "title": "Runbook"},
    {"text": "A lease runs out.", "title": "Ops"},
]
GOOD = {
    "answer": "The sweep requeues the step [1] once the lease has run out [2].",
    "findings": [{"title": "Leases", "text": "## Heading\nA lease runs out\x00 [2]."}],
    "agreement": "Both speak of leases [1][2].",
    "gaps": "How long it takes is not said.",
}


def model(*answers: dict[str, Any], seen: list[list[ModelMessage]] | None = None) -> FunctionModel:
    """A model that gives these answers in turn, the last one again and again."""
    queue = list(answers)

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if seen is not None:
            seen.append(messages)
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        call = ToolCallPart(info.output_tools[0].name, answer)
        return ModelResponse(parts=[call], usage=RequestUsage(input_tokens=100, output_tokens=20))

    return FunctionModel(respond)


def failing(error: Exception) -> FunctionModel:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise error

    return FunctionModel(respond)


def ask(of: FunctionModel | str) -> Answer:
    return asyncio.run(synthesise(of, QUESTION, PASSAGES))


def test_the_model_is_given_the_numbered_passages_and_its_use_is_counted():
    seen: list[list[ModelMessage]] = []
    outcome = ask(model(GOOD, seen=seen))
    assert outcome["written"] is not None
    assert outcome["tokens"] == 120
    assert '<passage number="2" source="Ops">' in str(seen[0])


def test_what_the_model_writes_is_cleaned():
    written = ask(model(GOOD))["written"]
    assert written is not None
    assert written["findings"][0]["text"] == "Heading\nA lease runs out [2]."


@pytest.mark.parametrize("answer", ["No citation at all.", "A passage that is not there [3]."])
def test_an_answer_that_does_not_cite_the_passages_is_asked_for_again(answer: str):
    outcome = ask(model({**GOOD, "answer": answer}, GOOD))
    assert outcome["written"] is not None
    assert outcome["written"]["answer"] == GOOD["answer"]
    assert outcome["tokens"] == 240


def test_a_model_that_keeps_to_no_form_gives_nothing_but_still_has_cost():
    outcome = ask(model({**GOOD, "answer": "No citation."}))
    assert outcome["written"] is None
    assert outcome["problem"]
    assert outcome["tokens"] == 120 * MOST_REQUESTS


def test_the_cost_is_that_of_a_known_model():
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        call = ToolCallPart(info.output_tools[0].name, GOOD)
        usage = RequestUsage(input_tokens=1_000_000, output_tokens=0)
        return ModelResponse(parts=[call], usage=usage, provider_name="openai")

    outcome = ask(FunctionModel(respond, model_name="gpt-4o"))
    assert outcome["usd"] > 0.5


def test_a_provider_that_is_down_is_upstream_unavailable():
    with pytest.raises(UpstreamUnavailable) as error:
        ask(failing(ModelConnectionError("m", "refused")))
    assert error.value.retry_after is None


def test_a_provider_that_says_when_to_come_back_is_heeded():
    limited = ModelHTTPError(429, "m", None, headers={"retry-after": "7"})
    with pytest.raises(UpstreamUnavailable) as error:
        ask(failing(limited))
    assert error.value.retry_after == 7


@pytest.mark.parametrize("name", ["nonsense", "nosuchprovider:model"])
def test_an_unknown_model_is_invalid_input(name: str):
    with pytest.raises(InvalidInput, match="cannot be used"):
        ask(name)


def use(monkeypatch: pytest.MonkeyPatch, of: Callable[[], FunctionModel]) -> None:
    async def with_model(name: str, question: str, passages: list[dict[str, Any]]) -> Answer:
        return await synthesise(of(), question, passages)

    monkeypatch.setenv("AGENT_TASKS_MODEL", "acme:writer")
    monkeypatch.setattr(specialists, "synthesise", with_model)


def test_with_a_model_the_report_is_the_models_over_the_quoted_passages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use(monkeypatch, lambda: model(GOOD))
    kept = FakeSyncContext()
    result = run(kept, paths=[str(write_corpus(tmp_path))], question=QUESTION)
    assert result["model"] == "acme:writer"
    assert kept.charges == [(120, 0.0)]
    assert GOOD["answer"] in result["report"]
    assert "### Leases" in result["report"]
    assert "written by `acme:writer`" in result["report"]
    assert f"> {result['passages'][0]['text']}" in result["report"].split("## Passages")[1]


def test_a_repeated_step_does_not_pay_again_for_a_recorded_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use(monkeypatch, lambda: failing(AssertionError("asked again")))
    kept = FakeSyncContext()
    findings = [{"title": "Leases", "text": "A lease runs out [2]."}]
    kept.recorded["ask"] = {"written": {**GOOD, "findings": findings}, "problem": None, "tokens": 120, "usd": 0.1}
    result = run(kept, paths=[str(write_corpus(tmp_path))], question=QUESTION)
    assert result["model"] == "acme:writer"
    assert kept.charges == []


def test_without_a_usable_answer_the_report_is_extractive_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use(monkeypatch, lambda: model({**GOOD, "answer": "No citation."}))
    kept = FakeSyncContext()
    result = run(kept, paths=[str(write_corpus(tmp_path))], question=QUESTION)
    assert result["model"] is None
    assert kept.charges == [(120 * MOST_REQUESTS, 0.0)]
    assert "`acme:writer` gave no answer that could be used" in result["report"]
    assert "no model wrote" in result["report"]


def test_the_step_that_asks_a_model_is_tried_three_times():
    assert specialists.writer.steps["write"].retry.attempts == 3
