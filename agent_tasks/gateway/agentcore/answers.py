"""Answers of a runtime: results, errors and acknowledgements, in the forms of the SDK's app."""

import json
import logging
import math
import re
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.result import result_of
from agent_tasks.errors import AgentTaskError, ErrorInfo, UnknownAgent, UpstreamUnavailable
from agent_tasks.gateway import problems
from agent_tasks.gateway.refusals import Refused
from agent_tasks.store.errors import Transient
from agent_tasks.task.snapshot import TaskSnapshot

log = logging.getLogger(__name__)
_RAISED = re.compile(r"Step \S+ failed: (?P<kind>\w+)(?:: (?P<text>.*))?", re.DOTALL)
"""What is kept of an exception that a step has raised: its type, and its text where it has some."""
_HTTP = re.compile(r"(?P<status>[45]\d\d): (?P<detail>.*)", re.DOTALL)
"""The text of Starlette's HTTPException, and of FastAPI's."""


class Answered(Exception):
    """A request that is answered early."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def result_answer(task: TaskSnapshot) -> Response:
    """The answer of a task that has ended: its result, or 500 with the text of its error."""
    try:
        return Response(written(result_of(task)), media_type="application/json")
    except AgentTaskError as error:
        status, text = raised(error.info)
        return error_answer(status, text)


def report_answer(task: TaskSnapshot, session_id: str, **more: Any) -> Response:
    """The answer that says how a task stands, with its result or error if it has ended."""
    said: dict[str, Any] = {"task_id": str(task.id), "session_id": session_id, "status": str(task.status), **more}
    if task.status.is_terminal and task.error is None:
        said["result"] = task.result
    elif task.status.is_terminal and task.error is not None:
        said["error"] = raised(task.error)[1]
        said["error_type"] = str(task.error.type)
        if task.result is not None:
            said["result"] = task.result
    elif task.progress is not None:
        said["progress"] = task.progress.model_dump(mode="json", exclude_none=True)
    return Response(written(said), media_type="application/json")


def error_answer(status: int, error: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """The answer `{"error": …}`."""
    return JSONResponse({"error": error, **more}, status, headers)


def going(task: TaskHandle) -> str:
    """What is said of a task whose end this gateway cannot wait for."""
    return f"This gateway ends. Task {task.id} goes on without it."


def written(value: Any) -> str:
    """JSON as the SDK's app writes it."""
    return json.dumps(value, ensure_ascii=False)


def raised(error: ErrorInfo) -> tuple[int, str]:
    """Status and text of the error that ended a task: what the step's exception says by itself."""
    found = _RAISED.fullmatch(error.message) if "exception" in error.details else None
    if found is None:
        return 500, error.message
    text = found["text"] or ""
    if found["kind"] == "HTTPException" and (http := _HTTP.fullmatch(text)):
        return int(http["status"]), http["detail"]
    return 500, text


def of_exception(error: Exception) -> Response:
    """The answer to an invocation that was not carried out."""
    if isinstance(error, Answered):
        return error.response
    if isinstance(error, Refused):
        return error_answer(error.status, error.detail, error.headers)
    if isinstance(error, UnknownAgent):
        return error_answer(500, "No entrypoint defined", details=error.message)
    if isinstance(error, AgentTaskError):
        return _of_typed(error)
    if isinstance(error, Transient):
        log.warning("invocation not answered: %s", error)
        return error_answer(
            503, "The deployment's servers cannot be reached now.", {"Retry-After": str(problems.AWAY_SECONDS)}
        )
    if isinstance(error, RecursionError):
        return PlainTextResponse("Internal Server Error", 500)
    log.error("invocation failed", exc_info=error)
    return error_answer(500, "The gateway failed at this invocation; its log says why.")


def _of_typed(error: AgentTaskError) -> Response:
    """403, 404, 409 and 503 as everywhere; what an agent does not take is the agent's error, as in the SDK's app."""
    status, info = problems.of_error(error).status_code, error.info
    headers: dict[str, str] = {}
    if isinstance(error, UpstreamUnavailable) or info.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(info.retry_after or problems.AWAY_SECONDS))
    return error_answer(status if status in (403, 404, 409, 503) else 500, info.message, headers)
