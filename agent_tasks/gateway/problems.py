"""The one place where an error becomes an answer: a problem document (RFC 9457) with the typed error inside."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from agent_tasks import metrics
from agent_tasks.errors import (
    AgentTaskError,
    BudgetExhausted,
    ErrorInfo,
    ErrorType,
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

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
AWAY_SECONDS = 5
"""When a caller may try again that met servers which do not answer."""
TASK_ENDED_WITHOUT_RESULT = 424
"""Failed Dependency: what was asked for depends on a task that has failed. No code of the gateway's own is like it."""

_STATUS: tuple[tuple[type[AgentTaskError], int, str], ...] = (
    (TaskNotFound, 404, "No such task"),
    (InvalidState, 409, "The task's state does not allow this"),
    (KeyInUse, 409, "A request with this key is being accepted"),
    (PermissionDenied, 403, "Not allowed"),
    (PayloadTooLarge, 413, "Too large"),
    (BudgetExhausted, 402, "The budget is used up"),
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


def problem(
    status: int, kind: str, title: str, error: ErrorInfo, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer that tells of an error."""
    metrics.GATEWAY_PROBLEMS.labels(kind).inc()
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
    return JSONResponse(document.model_dump(mode="json"), status, more, MEDIA_TYPE)


def of_error(error: AgentTaskError) -> JSONResponse:
    """The answer to a request that a typed error ended."""
    status, title = next((status, title) for kind, status, title in _STATUS if isinstance(error, kind))
    info = error.info
    return problem(status, str(info.type), title, info)


def of_failed_task(error: AgentTaskError) -> JSONResponse:
    """The answer of a task that ended without a result: the typed error that it ended with."""
    info = error.info
    return problem(TASK_ENDED_WITHOUT_RESULT, str(info.type), "The task has ended without a result", info)


def install(app: FastAPI) -> None:
    """Have the app answer each error with its problem document."""

    def of_request(request: Request, response: JSONResponse) -> JSONResponse:
        admitted = getattr(request.state, "admitted", None)
        if admitted is not None:
            for name, value in admitted.headers.items():
                response.headers.setdefault(name, value)
        return response

    @app.exception_handler(AgentTaskError)
    async def typed(request: Request, error: AgentTaskError) -> JSONResponse:
        return of_request(request, of_error(error))

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        details = {} if error.field is None else {"field": error.field}
        info = _info(ErrorType.INVALID_INPUT, error.detail, SuggestedAction.FIX_INPUT, **details)
        if error.status == 429:
            info = _info(ErrorType.UPSTREAM_UNAVAILABLE, error.detail, SuggestedAction.RETRY)
            info.retryable, info.retry_after = True, float(error.headers.get("Retry-After", AWAY_SECONDS))
        elif error.status == 403:
            info.type = ErrorType.PERMISSION_DENIED
        elif error.status == 413:
            info.type = ErrorType.PAYLOAD_TOO_LARGE
        return of_request(request, problem(error.status, error.type, error.title, info, headers=error.headers))

    @app.exception_handler(Unauthenticated)
    async def unauthenticated(request: Request, error: Unauthenticated) -> JSONResponse:
        return problem(
            401, "unauthenticated", "No valid token", error.info, headers={"WWW-Authenticate": error.challenge}
        )

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return of_request(request, _of_validation(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return of_request(request, _of_http(request, error))

    async def away(request: Request, error: Exception) -> JSONResponse:
        log.warning("%s %s not answered: %s", request.method, request.url.path, error)
        message = "The deployment's servers cannot be reached now. Nothing is known to have been done: try again."
        info = _info(ErrorType.UPSTREAM_UNAVAILABLE, message, SuggestedAction.RETRY)
        info.retryable, info.retry_after = True, AWAY_SECONDS
        return of_request(request, problem(503, str(info.type), "A server does not answer", info))

    app.add_exception_handler(Transient, away)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
        message = "The gateway failed at this request; its log says why. It may have been carried out: look before."
        info = _info(ErrorType.STEP_FAILED, message, SuggestedAction.ESCALATE)
        return problem(500, "internal", "An error of the gateway", info)


def _info(type_: ErrorType, message: str, action: SuggestedAction, **details: Any) -> ErrorInfo:
    return ErrorInfo(type=type_, message=message, details=details, suggested_action=action)


def _of_validation(error: RequestValidationError) -> JSONResponse:
    """The first of the errors that validation found, with its place; the others are named in the details."""
    wrong = [(".".join(map(str, each["loc"][1:])) or str(each["loc"][0]), str(each["msg"])) for each in error.errors()]
    (field, why), others = wrong[0], wrong[1:10]
    details: dict[str, Any] = {"field": field}
    if others:
        details["others"] = [{"field": name, "problem": text} for name, text in others]
    info = _info(ErrorType.INVALID_INPUT, f"{field}: {why}", SuggestedAction.FIX_INPUT, **details)
    return problem(422, str(info.type), "The request is not of the documented form", info)


def _of_http(request: Request, error: HTTPException) -> JSONResponse:
    """What the router says: no such path, no such method."""
    said = {
        404: f"There is nothing at {request.url.path}. The paths are in /openapi.json.",
        405: f"{request.url.path} does not take {request.method}, but {(error.headers or {}).get('Allow', 'others')}.",
    }
    message = said.get(error.status_code, str(error.detail))
    kind = {404: "no_such_path", 405: "method_not_allowed"}.get(error.status_code, "invalid_input")
    info = _info(ErrorType.INVALID_INPUT, message, SuggestedAction.FIX_INPUT)
    return problem(error.status_code, kind, str(error.detail), info, headers=error.headers)
