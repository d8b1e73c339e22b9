"""Usage: what each SDK reports of a model's answer, and what it costs."""

from types import SimpleNamespace
from typing import Any

import pytest

from agent_tasks import InvalidInput, Usage
from agent_tasks.authoring.calls.spent import Spent, price

REPORTED: dict[str, tuple[Any, Usage]] = {
    "OpenAI, Chat Completions": (
        SimpleNamespace(
            prompt_tokens=100,
            completion_tokens=20,
            total_tokens=120,
            prompt_tokens_details=SimpleNamespace(cached_tokens=60),
        ),
        Usage(100, 20, 60),
    ),
    "OpenAI, Responses": (
        SimpleNamespace(
            input_tokens=100,
            output_tokens=20,
            total_tokens=120,
            input_tokens_details=SimpleNamespace(cached_tokens=60),
            output_tokens_details=SimpleNamespace(reasoning_tokens=10),
        ),
        Usage(100, 20, 60),
    ),
    "Anthropic": (
        SimpleNamespace(input_tokens=30, output_tokens=20, cache_creation_input_tokens=10, cache_read_input_tokens=60),
        Usage(100, 20, 60, 10),
    ),
    "Anthropic without a cache": (
        SimpleNamespace(
            input_tokens=30, output_tokens=20, cache_creation_input_tokens=None, cache_read_input_tokens=None
        ),
        Usage(30, 20),
    ),
    "LangChain": (
        {"input_tokens": 100, "output_tokens": 20, "input_token_details": {"cache_read": 60, "cache_creation": 10}},
        Usage(100, 20, 60, 10),
    ),
    "ours": (Usage(1, 2, 1), Usage(1, 2, 1)),
    "JSON": ({"input_tokens": 1, "output_tokens": 2}, Usage(1, 2)),
}


@pytest.mark.parametrize("sdk", REPORTED)
def test_what_an_sdk_reports_is_read_by_its_documented_attributes(sdk: str) -> None:
    reported, usage = REPORTED[sdk]
    assert Usage.of(reported) == usage


def test_the_objects_of_the_sdks_that_are_installed_are_read() -> None:
    chat = pytest.importorskip("openai.types.completion_usage")
    responses = pytest.importorskip("openai.types.responses.response_usage")
    anthropic = pytest.importorskip("anthropic.types.usage")
    pydantic_ai = pytest.importorskip("pydantic_ai.usage")
    given = [
        chat.CompletionUsage(
            prompt_tokens=100,
            completion_tokens=20,
            total_tokens=120,
            prompt_tokens_details=chat.PromptTokensDetails(cached_tokens=60),
        ),
        responses.ResponseUsage.model_validate(
            {
                "input_tokens": 100,
                "output_tokens": 20,
                "total_tokens": 120,
                "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            }
        ),
        anthropic.Usage(input_tokens=40, output_tokens=20, cache_read_input_tokens=60),
        pydantic_ai.RequestUsage(input_tokens=100, output_tokens=20, cache_read_tokens=60),
        pydantic_ai.RunUsage(input_tokens=100, output_tokens=20, cache_read_tokens=60, requests=2),
    ]
    assert [Usage.of(one) for one in given] == [Usage(100, 20, 60)] * len(given)


@pytest.mark.parametrize("reported", [None, 5, "100 tokens", {}, SimpleNamespace(usage=Usage(1, 2)), []])
def test_what_is_no_usage_is_refused_with_what_to_give(reported: Any) -> None:
    with pytest.raises(InvalidInput, match="give its `usage`"):
        Usage.of(reported)


@pytest.mark.parametrize("tokens", [-1, 1.5, "3", True])
def test_tokens_are_whole_numbers_from_zero_up(tokens: Any) -> None:
    with pytest.raises(InvalidInput, match="input_tokens"):
        Usage(input_tokens=tokens)


def test_tokens_from_a_cache_are_cheaper_and_a_model_may_be_named_with_its_provider() -> None:
    pytest.importorskip("genai_prices")
    assert price(Usage(1_000_000), "gpt-4o") == price(Usage(1_000_000), "openai:gpt-4o") > 0
    assert price(Usage(1_000_000, cache_read_tokens=1_000_000), "gpt-4o") < price(Usage(1_000_000), "gpt-4o")
    assert price(Usage(), "claude-sonnet-4-5") == 0


@pytest.mark.parametrize("model", ["acme-1", "openai:acme-1", "acme:gpt", "ft:acme-1:x"])
def test_an_unknown_model_says_what_to_do(model: str) -> None:
    pytest.importorskip("genai_prices")
    with pytest.raises(InvalidInput, match=r"charge_usage\(usage, model=, usd=\)") as refused:
        price(Usage(1, 1), model)
    assert model in str(refused.value)


@pytest.mark.parametrize("model", ["", None, 3])
def test_a_model_is_named(model: Any) -> None:
    with pytest.raises(InvalidInput, match="model's name"):
        Spent.usage(Usage(1, 1), model)


def test_without_genai_prices_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "genai_prices", None)
    with pytest.raises(InvalidInput, match=r"agent-tasks\[prices\]"):
        price(Usage(1, 1), "gpt-4o")
