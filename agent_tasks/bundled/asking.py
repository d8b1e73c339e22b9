"""Asking a language model for an answer of a given form, and what that costs."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel
from typing_extensions import TypedDict

from agent_tasks import InvalidInput, UpstreamUnavailable
from agent_tasks.bundled.extras import optional
from agent_tasks.bundled.research.formats.blocks import clean

Form = TypeVar("Form", bound=BaseModel)
MOST_REQUESTS = 3


class Answer(TypedDict):
    """The model's answer; `written` is None if it kept to no form, and `problem` says so. Cost is given either way."""

    written: dict[str, Any] | None
    problem: str | None
    tokens: int
    usd: float


async def ask(
    model: Any,
    form: type[Form],
    prompt: str,
    *,
    instructions: str,
    problem_of: Callable[[Form], str | None],
    most_tokens: int,
    tidied: Callable[[Form], dict[str, Any]],
) -> Answer:
    """Ask `model` ("provider:name", or a model of pydantic-ai) for a `form`, again where `problem_of` finds fault.

    Raises UpstreamUnavailable if the provider does not answer or throttles (429, 503), with the time that it asks to
    wait, and InvalidInput if it refuses: an unknown model, no key, no credit. Both leave a retry to the step.
    """
    ai, errors = await asyncio.to_thread(_libraries)
    usage = ai.RunUsage()
    try:
        agent = await asyncio.to_thread(_agent, ai, model, form, instructions, problem_of)
        result = await agent.run(
            prompt,
            usage=usage,
            usage_limits=ai.UsageLimits(request_limit=MOST_REQUESTS),
            model_settings={"max_tokens": most_tokens},
        )
    except (errors.ModelRequestRejectedError, errors.ModelQuotaExceededError, errors.UserError) as error:
        raise InvalidInput(f"The model cannot be used: {_described(error)}", field="AGENT_TASKS_MODEL") from error
    except errors.ModelAPIError as error:
        raise UpstreamUnavailable(
            f"The model did not answer: {_described(error)}", retry_after=error.retry_after
        ) from error
    except (errors.UnexpectedModelBehavior, errors.UsageLimitExceeded) as error:
        return _answer(None, _described(error), usage)
    return _answer(tidied(result.output), None, usage)


def _libraries() -> tuple[Any, Any]:
    """Import what the model is asked with: in a thread, since it takes a second that other steps' loop has not."""
    return optional("pydantic_ai", "llm"), optional("pydantic_ai.exceptions", "llm")


def _agent(ai: Any, model: Any, form: type[Form], instructions: str, problem_of: Callable[[Form], str | None]) -> Any:
    """Make the agent that asks; that imports the provider's library."""
    agent = ai.Agent(model, output_type=form, instructions=instructions, retries={"output": MOST_REQUESTS - 1})

    @agent.output_validator
    def check(output: Form) -> Form:  # pyright: ignore[reportUnusedFunction]
        if problem := problem_of(output):
            raise ai.ModelRetry(problem)
        return output

    return agent


def _answer(written: dict[str, Any] | None, problem: str | None, usage: Any) -> Answer:
    cost: Decimal | None = usage.cost
    return {"written": written, "problem": problem, "tokens": usage.total_tokens, "usd": float(cost or 0)}


def _described(error: Exception) -> str:
    return clean(str(error))[:300]
