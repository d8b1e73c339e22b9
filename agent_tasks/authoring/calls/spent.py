"""Spent: what a step says that it has spent, by amounts or by a model's usage."""

from collections.abc import Callable
from typing import Any

from agent_tasks.authoring.calls.call_identity import digest_of
from agent_tasks.errors import InvalidInput
from agent_tasks.task.usage import Usage


class Spent:
    """What was spent; its price is looked up only if it is to be counted."""

    def __init__(
        self, digest: str, tokens: int, price: Callable[[], float], model: str | None = None, used: Usage | None = None
    ) -> None:
        self.digest = digest
        """What a repeat of the step knows it by, whatever the prices are by then."""
        self.tokens = tokens
        self.price = price
        self.model = model
        self.used = used

    @classmethod
    def amounts(cls, tokens: int, usd: float) -> "Spent":
        return cls(digest_of((tokens, usd), {}), tokens, lambda: usd)

    @classmethod
    def usage(cls, reported: Any, model: Any, usd: float | None = None) -> "Spent":
        """Read what a model's answer used; it cost `usd`, or what genai-prices says. Raises InvalidInput."""
        usage = Usage.of(reported)
        if not isinstance(model, str) or not model:
            raise InvalidInput("charge_usage(model=) takes the model's name, such as 'openai:gpt-5'", field="model")
        of = price if usd is None else lambda *_: usd
        return cls(digest_of((usage, model), {}), usage.tokens, lambda: of(usage, model), model, usage)


def price(usage: Usage, model: str) -> float:
    """Return what this usage of a model costs by genai-prices, in dollars. Raises InvalidInput for an unknown model."""
    try:
        from genai_prices import Usage as Used
        from genai_prices import calc_price
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "genai_prices":
            raise
        raise InvalidInput(
            "charge_usage looks prices up in genai-prices: pip install 'agent-tasks[prices]'. Or say what it cost: "
            "charge_usage(usage, model=, usd=).",
            field="model",
        ) from None
    used = Used(**{name: count for name, count in usage.as_dict().items() if count})
    provider, colon, name = model.partition(":")
    for provider_id, model_ref in ((provider if colon else None, name if colon else model), (None, model)):
        try:
            return float(calc_price(used, model_ref, provider_id=provider_id).total_price)
        except LookupError:
            continue
    raise InvalidInput(
        f"No price is known of the model {model!r}. Name it as genai-prices does, with its provider where that is not "
        "clear ('openai:gpt-5'); or get a newer genai-prices; or say what it cost: charge_usage(usage, model=, usd=), "
        "with usd=0 for a model of your own.",
        field="model",
        model=model,
    )
