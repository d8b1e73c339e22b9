"""Errors as the protocol has them, and those that are told as everywhere else, by the status of the answer."""

import logging

from a2a.utils import errors as protocol
from a2a.utils.errors import A2AError

from agent_tasks.errors import (
    AgentTaskError,
    InvalidState,
    PermissionDenied,
    TaskNotFound,
    UpstreamUnavailable,
)
from agent_tasks.gateway.credentials import Unauthenticated
from agent_tasks.gateway.refusals import Refused
from agent_tasks.store.errors import Transient

log = logging.getLogger(__name__)
AS_PROBLEMS = (Unauthenticated, Refused, PermissionDenied, UpstreamUnavailable, Transient)
"""The protocol leaves to HTTP who may do what, and how much: the answer is a problem document with its own status."""

_NO_TASK = "There is no such task, or none that you may see."
"""The same for all: whoever may not see a task, or asks for that of a hidden agent, learns no more."""


def of_error(error: Exception) -> A2AError:
    """The protocol's error for one that ended a request; of an unforeseen one the log says more."""
    if isinstance(error, A2AError):
        return error
    if isinstance(error, TaskNotFound):
        return protocol.TaskNotFoundError(_NO_TASK)
    if isinstance(error, InvalidState):
        return protocol.UnsupportedOperationError(error.message)
    if isinstance(error, AgentTaskError):
        field = error.details.get("field")
        wrong = {"errors": [{"field": field, "message": error.message}]} if isinstance(field, str) else {}
        return protocol.InvalidParamsError(error.message, data={"type": str(error.info.type), **wrong})
    if not isinstance(error, AS_PROBLEMS):
        log.error("a request of A2A failed", exc_info=error)
    return protocol.InternalError("The gateway failed at this request; its log says why.")
