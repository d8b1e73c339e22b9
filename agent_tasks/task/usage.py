"""Usage: what a model's answer used, as the common SDKs report it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import check_whole

_MOST = 2**62


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that a model's answer used; those read from a cache, or written to it, are among the input's.

    Raises InvalidInput for anything but whole numbers from 0 up.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            check_whole(value, name, 0, _MOST)

    @property
    def tokens(self) -> int:
        """The tokens of input and output together, which the budget counts."""
        return self.input_tokens + self.output_tokens

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def of(cls, reported: Any) -> "Usage":
        """Read what an SDK reports, an object or a mapping, by the attributes that it documents.

        OpenAI: `prompt_tokens`, `completion_tokens` (Chat Completions), or `input_tokens`, `output_tokens` (Responses,
        Agents SDK), with `prompt_tokens_details.cached_tokens` or `input_tokens_details.cached_tokens`. Anthropic:
        `input_tokens`, beside which `cache_read_input_tokens` and `cache_creation_input_tokens` come. Pydantic AI:
        `input_tokens`, of which `cache_read_tokens` and `cache_write_tokens` are. LangChain: as `usage_metadata`, with
        `input_token_details`. Raises InvalidInput for anything else.
        """
        if isinstance(reported, cls):
            return reported
        into = _first(reported, "input_tokens", "prompt_tokens")
        out = _first(reported, "output_tokens", "completion_tokens")
        if into is None and out is None:
            raise InvalidInput(
                "charge_usage takes what a model's answer used: the usage object of the OpenAI, Anthropic or Pydantic "
                f"AI SDK, or agent_tasks.Usage(input_tokens=, output_tokens=), not {type(reported).__name__}. Of a "
                "whole answer, give its `usage`.",
                field="usage",
            )
        beside_read = _first(reported, "cache_read_input_tokens")  # Anthropic's, which are not in its input_tokens
        beside_write = _first(reported, "cache_creation_input_tokens")
        details = _first(reported, "input_tokens_details", "prompt_tokens_details", "input_token_details")
        read = _first(reported, "cache_read_tokens") or _first(details, "cached_tokens", "cache_read") or 0
        written = _first(reported, "cache_write_tokens") or _first(details, "cache_write_tokens", "cache_creation") or 0
        return cls(
            (into or 0) + (beside_read or 0) + (beside_write or 0),
            out or 0,
            read + (beside_read or 0),
            written + (beside_write or 0),
        )


def _first(reported: Any, *names: str) -> Any:
    """Return the first of these that is there."""
    for name in names:
        if isinstance(reported, Mapping):
            value = cast("Mapping[str, Any]", reported).get(name)
        else:
            value = getattr(reported, name, None)
        if value is not None:
            return value
    return None
