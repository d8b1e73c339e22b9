"""Errors of an MCP server, and of the way there, as errors of ours."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx2
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, REQUEST_TIMEOUT
from pydantic import ValidationError

from agent_tasks.errors import AgentTaskError, InvalidInput, StepFailed, UpstreamUnavailable, leaves

_AWAY = (CONNECTION_CLOSED, INTERNAL_ERROR, REQUEST_TIMEOUT)


@contextmanager
def told_as_ours(url: str, seconds: float) -> Generator[None]:
    """Raise what is raised within as one of our errors: what the network, the library and the server say.

    The library runs several tasks for a request, so that an error comes in a group, with what it broke off.
    """
    try:
        yield
    except TimeoutError:
        raise _late(url, seconds) from None
    except Exception as error:
        told = [one for each in leaves(error) if (one := _told(each, url, seconds)) is not None]
        if not told:
            raise
        raise told[0] from error


def _told(error: BaseException, url: str, seconds: float) -> Exception | None:
    if isinstance(error, AgentTaskError):
        return error
    if isinstance(error, MCPError):
        return of_rpc(error.error.code, error.error.message, error.error.data, url)
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return _late(url, seconds)
    if isinstance(error, httpx2.LocalProtocolError):  # what it says may have a header in it
        return InvalidInput(f"{url} cannot be asked: a header of its headers= cannot be sent", field="headers")
    if isinstance(error, httpx2.HTTPError | httpx2.StreamError | OSError):
        return UpstreamUnavailable(f"{url} cannot be reached: {type(error).__name__}: {error}")
    if isinstance(error, httpx2.InvalidURL):
        return InvalidInput(f"{url} cannot be asked: {error}", field="url")
    if isinstance(error, ValidationError | RuntimeError):
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        return StepFailed(f"{url} answers otherwise than MCP says: {said}")
    return None


def of_rpc(code: int, message: str, data: Any, url: str) -> AgentTaskError:
    """Return the error that a JSON-RPC error of the server is for a step."""
    details = {"code": code, "data": data}
    if code in _AWAY:
        return UpstreamUnavailable(f"{url} failed: {message} (JSON-RPC {code})", **details)
    if code in (INVALID_PARAMS, METHOD_NOT_FOUND):
        return InvalidInput(f"{url} refuses the request: {message} (JSON-RPC {code})", field="arguments", **details)
    return StepFailed(f"{url} answers with an error: {message} (JSON-RPC {code})", **details)


def _late(url: str, seconds: float) -> UpstreamUnavailable:
    return UpstreamUnavailable(f"{url} has not answered within {seconds:g} seconds, the timeout= declared for it")
