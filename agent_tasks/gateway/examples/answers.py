"""Examples for the OpenAPI document: the form of an answer, and the problems that every operation can meet."""

import json
from typing import Any

from pydantic import BaseModel

from agent_tasks.errors import HookClosed, InvalidInput, InvalidState, PermissionDenied, TaskCancelled, TaskNotFound
from agent_tasks.gateway import headers, problems
from agent_tasks.gateway.credentials import Unauthenticated
from agent_tasks.gateway.problems import MEDIA_TYPE, Problem
from agent_tasks.gateway.refusals import Refused

Responses = dict[int | str, dict[str, Any]]
ID = "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77"
_AGAIN = {"Retry-After": "1", "RateLimit": '"default";r=0;t=1', "RateLimit-Policy": '"default";q=1000;w=1'}
_PROBLEMS: dict[int, problems.Answer] = {
    400: problems.of_refusal(
        Refused(
            400,
            "invalid_json",
            "The body is not JSON that can be kept",
            "The body is not JSON: Expecting value at line 1, column 11. Send JSON by RFC 8259.",
        )
    ),
    401: problems.of_unauthenticated(
        Unauthenticated("Send `Authorization: Bearer <token>` with an API key.", token_given=False)
    ),
    403: problems.of_error(
        PermissionDenied("This takes the scope 'tasks:write', which the token has not.", scope="tasks:write")
    ),
    404: problems.of_error(TaskNotFound(f"No task {ID}, or none that 'ana' may see.")),
    408: problems.of_refusal(
        Refused(
            408,
            "request_timeout",
            "The body did not come in time",
            "17 bytes of the body came in 30 s. Send the request again, faster, or smaller.",
        )
    ),
    409: problems.of_error(InvalidState(f"Task {ID} has ended as completed.")),
    410: problems.of_error(
        HookClosed("This was answered at 09:04 UTC on 27 November 2026: it takes one answer.", why="used")
    ),
    413: problems.of_refusal(
        Refused(
            413,
            "body_too_large",
            "The body is too large",
            "The body is 5,000,000 bytes; the limit is 2,097,152 bytes. Store what is large elsewhere (a bucket, a "
            "table) and pass its address, or raise AGENT_TASKS_GATEWAY_BODY_LIMIT.",
        )
    ),
    415: problems.of_refusal(
        Refused(
            415,
            "unsupported_media_type",
            "The body is of another kind",
            "The body must be JSON, and its Content-Type is 'text/plain'. Send it with Content-Type: application/json.",
            "content-type",
        )
    ),
    422: problems.of_error(InvalidInput("writer.outline: topic: Field required", field="topic")),
    424: problems.of_failed_task(TaskCancelled("not needed any more", reason="not needed any more")),
    429: problems.of_refusal(
        Refused(
            429,
            "rate_limited",
            "Too many requests",
            "The tenant 'acme' has used up its 1000 requests. Try again in 1 s.",
            headers=_AGAIN,
        )
    ),
    500: problems.of_bug(),
    503: problems.of_away(),
}
BODY = (400, 408, 413, 415)
_OF_ALL = (401, 403, 422, 429, 500, 503)


def answers(ok: Responses, *statuses: int, of_all: tuple[int, ...] = _OF_ALL, **own: problems.Answer) -> Responses:
    """What an operation answers: where it goes well, and its problems beside those of every operation.

    `own`: problems that are its own, as in `of_404`.
    """
    known = {**_PROBLEMS, **{int(name.removeprefix("of_")): problem for name, problem in own.items()}}
    failures: Responses = {
        status: {
            "description": (document := json.loads(bytes(known[status].body)))["title"],
            "model": Problem,
            "headers": headers.of_problem(status),
            "content": {MEDIA_TYPE: {"example": document}},
        }
        for status in sorted({*of_all, *statuses, *(known.keys() - _PROBLEMS.keys())})
    }
    return {**ok, **failures}


def of(what: str, example: Any, model: type[BaseModel] | None = None, head: tuple[str, ...] = ()) -> dict[str, Any]:
    """An answer in JSON; `model` where it is not that of the operation's usual answer."""
    found = {
        "description": what,
        "headers": headers.of_answer(*head),
        "content": {"application/json": {"example": example}},
    }
    return found if model is None else {**found, "model": model}


def links(parameter: str, field: str, *operations: str) -> dict[str, Any]:
    """What can be done next with what an answer names."""
    return {name: {"operationId": name, "parameters": {parameter: f"$response.body#/{field}"}} for name in operations}
