"""The one place where an error becomes an answer: a problem document (RFC 9457) with the typed error inside."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from agent_tasks import metrics
from agent_tasks.errors import (
    AgentTaskError,
    ErrorInfo,
    ErrorType,
    HookClosed,
    HookNotFound,
    InvalidState,
    KeyInUse,
    PayloadTooLarge,
    PermissionDenied,
    SuggestedAction,
    TaskNotFound,
    UpstreamUnavailable,
)
from agent_tasks.gateway.credentials import Unauthenticated
from agent_tasks.gateway.refusals import Refused
from agent_tasks.store.errors import Transient
from agent_tasks.task.arguments import shown

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
AWAY_SECONDS = 5
"""When a caller may try again that met servers which do not answer."""
_LONGEST_PLACE = 200
TASK_ENDED_WITHOUT_RESULT = 424
"""Failed Dependency: what was asked for depends on a task that has failed. No code of the gateway's own is like it."""

_STATUS: tuple[tuple[type[AgentTaskError], int, str], ...] = (
    (TaskNotFound, 404, "Not found"),
    (HookNotFound, 404, "No such hook"),
    (HookClosed, 410, "The hook takes no more answers"),
    (InvalidState, 409, "Its state does not allow this"),
    (KeyInUse, 409, "A request with this key is being accepted"),
    (PermissionDenied, 403, "Not allowed"),
    (PayloadTooLarge, 413, "Too large"),
    (UpstreamUnavailable, 503, "A server does not answer"),
    (AgentTaskError, 422, "The request cannot be carried out"),
)


class Problem(BaseModel):
    """A problem document: what went wrong with a request, and what to do about it."""

    type: str
    """A URN of the kind of problem: `urn:agent-tasks:problem:<kind>`."""
    title: str
    """The kind of problem, in words."""
    status: int
    """The status of the answer."""
    detail: str
    """What went wrong with this request, and what to do."""
    field: str | None = None
    """The field of the request that is wrong, where it is one."""
    error: ErrorInfo
    """The typed error, as everywhere else."""


class Answer(JSONResponse):
    """A problem document as an answer, which is counted when it is given."""

    def __init__(self, kind: str, document: Problem, headers: dict[str, str]) -> None:
        super().__init__(document.model_dump(mode="json"), document.status, headers, MEDIA_TYPE)
        self._kind = kind
        self.document = document
        """What it tells."""

    def count(self) -> None:
        metrics.GATEWAY_PROBLEMS.labels(self._kind).inc()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.count()
        await super().__call__(scope, receive, send)


def problem(
    status: int, kind: str, title: str, error: ErrorInfo, *, headers: Mapping[str, str] | None = None
) -> Answer:
    """The answer that tells of an error."""
    field = error.details.get("field")
    document = Problem(
        type=f"urn:agent-tasks:problem:{kind}",
        title=title,
        status=status,
        detail=error.message,
        field=field if isinstance(field, str) else None,
        error=error,
    )
    more = dict(headers or {})
    if error.retry_after is not None:
        more.setdefault("Retry-After", str(math.ceil(error.retry_after)))
    return Answer(kind, document, more)


def of_error(error: AgentTaskError) -> Answer:
    """The answer to a request that a typed error ended."""
    status, title = next((status, title) for kind, status, title in _STATUS if isinstance(error, kind))
    info = error.info
    return problem(status, str(info.type), title, info)


def of_failed_task(error: AgentTaskError) -> Answer:
    """The answer of a task that ended without a result: the typed error that it ended with."""
    info = error.info
    return problem(TASK_ENDED_WITHOUT_RESULT, str(info.type), "The task has ended without a result", info)


def of_refusal(error: Refused) -> Answer:
    """The answer to a request that the gateway itself refuses."""
    details = {} if error.field is None else {"field": error.field}
    info = _info(ErrorType.INVALID_INPUT, error.detail, SuggestedAction.FIX_INPUT, **details)
    if error.status == 429:
        info = _again(error.detail, float(error.headers.get("Retry-After", AWAY_SECONDS)))
    elif error.status == 403:
        info.type = ErrorType.PERMISSION_DENIED
    elif error.status == 413:
        info.type = ErrorType.PAYLOAD_TOO_LARGE
    return problem(error.status, error.type, error.title, info, headers=error.headers)


def of_unauthenticated(error: Unauthenticated) -> Answer:
    """The answer to a request without a valid token."""
    return problem(401, "unauthenticated", "No valid token", error.info, headers={"WWW-Authenticate": error.challenge})


def of_away() -> Answer:
    """The answer where Postgres or Redis is away."""
    info = _again(
        "The deployment's servers cannot be reached now. Nothing is known to have been done: try again.", AWAY_SECONDS
    )
    return problem(503, str(info.type), "A server does not answer", info)


def of_bug() -> Answer:
    """The answer where the gateway failed in a way that nobody foresaw."""
    message = "The gateway failed at this request; its log says why. It may have been carried out: look before."
    info = _info(ErrorType.STEP_FAILED, message, SuggestedAction.ESCALATE)
    return problem(500, "internal", "An error of the gateway", info)


def of(error: AgentTaskError | Refused | Transient) -> Answer:
    """The answer to a request that an error of a known kind ended."""
    if isinstance(error, AgentTaskError):
        return of_error(error)
    return of_refusal(error) if isinstance(error, Refused) else of_away()


def install(app: FastAPI) -> None:
    """Have the app answer each error with its problem document."""

    def of_request(request: Request, response: Answer) -> Answer:
        admission = getattr(request.state, "admission", None)
        if admission is not None and admission.admitted is not None:
            for name, value in admission.admitted.headers.items():
                response.headers.setdefault(name, value)
        return response

    @app.exception_handler(AgentTaskError)
    async def typed(request: Request, error: AgentTaskError) -> Answer:
        return of_request(request, of_error(error))

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Answer:
        return of_request(request, of_refusal(error))

    @app.exception_handler(Unauthenticated)
    async def unauthenticated(request: Request, error: Unauthenticated) -> Answer:
        return of_unauthenticated(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Answer:
        return of_request(request, _of_validation(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Answer:
        return of_request(request, _of_http(request, error))

    async def away(request: Request, error: Exception) -> Answer:
        log.warning("%s %s not answered: %s", request.method, request.url.path, error)
        return of_request(request, of_away())

    app.add_exception_handler(Transient, away)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Answer:
        log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
        return of_bug()


def _info(type_: ErrorType, message: str, action: SuggestedAction, **details: Any) -> ErrorInfo:
    return ErrorInfo(type=type_, message=message, details=details, suggested_action=action)


def _again(message: str, seconds: float) -> ErrorInfo:
    info = _info(ErrorType.UPSTREAM_UNAVAILABLE, message, SuggestedAction.RETRY)
    info.retryable, info.retry_after = True, seconds
    return info


def _of_validation(error: RequestValidationError) -> Answer:
    """The first of the errors that validation found, with its place; the others are named in the details."""
    wrong = [(_place(each["loc"]), str(each["msg"])) for each in error.errors()[:10]]
    (field, why), others = wrong[0], wrong[1:]
    details: dict[str, Any] = {"field": field}
    if others:
        details["others"] = [{"field": name, "problem": text} for name, text in others]
    info = _info(ErrorType.INVALID_INPUT, f"{field}: {why}", SuggestedAction.FIX_INPUT, **details)
    return problem(422, str(info.type), "The request is not of the documented form", info)


def _place(loc: Sequence[str | int]) -> str:
    """Where in a request something is wrong: without the part of it, and cut, for a key can be as long as a body."""
    text = ".".join(map(str, loc[1:])) or str(loc[0])
    return text if len(text) <= _LONGEST_PLACE else f"{text[: _LONGEST_PLACE - 1]}…"


def _of_http(request: Request, error: HTTPException) -> Answer:
    """What the router says: no such path, no such method."""
    path, headers = shown(request.url.path), dict(error.headers or {})
    kind, title, message = "invalid_input", str(error.detail), str(error.detail)
    if error.status_code == 404:
        kind, title = "no_such_path", "No such path"
        message = f"There is nothing at {path}. The paths are in /openapi.json."
    elif error.status_code == 405:
        kind, title, allowed = "method_not_allowed", "No such method here", _allowed(request, error)
        headers["Allow"] = allowed
        message = f"{path} takes {allowed}, not {shown(request.method)}."
    info = _info(ErrorType.INVALID_INPUT, message, SuggestedAction.FIX_INPUT)
    return problem(error.status_code, kind, title, info, headers=headers)


def _allowed(request: Request, error: HTTPException) -> str:
    """All methods of a path: the router's own error names those of its first route only."""
    routes = [route for route in request.app.state.routes if route.matches(request.scope)[0] is not Match.NONE]
    known = sorted({method for route in routes for method in route.methods})
    return ", ".join(known or sorted((error.headers or {}).get("Allow", "").split(", ")))
