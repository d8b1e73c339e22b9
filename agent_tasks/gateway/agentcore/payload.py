"""The payload of an invocation: read as the SDK's app reads it, and as the input of an agent's first step."""

import json
import math
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from agent_tasks.gateway.agentcore.answers import Answered, error_answer
from agent_tasks.gateway.receiving import read_body
from agent_tasks.settings import Settings

_INLINE = 64 * 1024
"""A body of more bytes is parsed in a thread: meanwhile the event loop serves others."""


async def read_payload(request: Request, settings: Settings) -> Any:
    """Any JSON value, whatever the content type says. Raises Answered, and Refused for a body over the limits."""
    body = await read_body(request, settings.gateway_body_limit, settings.gateway_body_seconds)
    try:
        return await run_in_threadpool(json.loads, body) if len(body) > _INLINE else json.loads(body)
    except json.JSONDecodeError as error:
        raise Answered(error_answer(400, "Invalid JSON", details=str(error))) from None
    except UnicodeDecodeError as error:
        raise Answered(error_answer(400, "Invalid encoding", details=str(error))) from None
    except ValueError as error:  # a number of more digits than are read
        raise Answered(error_answer(400, "Invalid JSON", details=str(error))) from None


def input_of(payload: Any) -> dict[str, Any]:
    """The arguments of the first step: the payload where it is an object, else `{"payload": …}`.

    NaN and Infinity, which the SDK's app takes and Postgres cannot keep, are text in it.
    """
    kept = _with_text_for_numbers(payload)
    return cast(dict[str, Any], kept) if isinstance(kept, dict) else {"payload": kept}


def _with_text_for_numbers(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [_with_text_for_numbers(item) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        return {name: _with_text_for_numbers(item) for name, item in cast(dict[str, Any], value).items()}
    return value
