"""Errors of an agent that speaks A2A, and of the way there, as errors of ours."""

from collections.abc import Generator
from contextlib import contextmanager

import httpx
from a2a.client import A2AClientError, A2AClientTimeoutError, AgentCardResolutionError
from a2a.utils import errors
from google.protobuf.json_format import ParseError

from agent_tasks.errors import AgentTaskError, ContextLost, InvalidInput, StepFailed, UpstreamUnavailable

_REFUSED = (
    errors.ContentTypeNotSupportedError,
    errors.ExtensionSupportRequiredError,
    errors.InvalidParamsError,
    errors.InvalidRequestError,
    errors.MethodNotFoundError,
    errors.UnsupportedOperationError,
    errors.VersionNotSupportedError,
)


@contextmanager
def told_as_ours(url: str, seconds: float) -> Generator[None]:
    """Raise what is raised within as one of our errors: what the network, the library and the agent say."""
    try:
        yield
    except AgentTaskError:
        raise
    except (TimeoutError, httpx.TimeoutException, A2AClientTimeoutError):
        raise UpstreamUnavailable(
            f"{url} has not answered within {seconds:g} seconds, the timeout= declared for it"
        ) from None
    except httpx.LocalProtocolError:  # what it says may have a header in it
        raise _unsendable(url) from None
    except errors.A2AError as error:
        if isinstance(error.__cause__, httpx.LocalProtocolError):
            raise _unsendable(url) from None
        raise _told(error, url) from error
    except (httpx.HTTPError, httpx.StreamError, OSError) as error:
        raise UpstreamUnavailable(f"{url} cannot be reached: {type(error).__name__}: {error}") from error
    except ParseError as error:
        raise InvalidInput(f"The message to {url} is none of A2A: {error}", field="input") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StepFailed(f"{url} answers otherwise than A2A says: {error}") from error


def _unsendable(url: str) -> InvalidInput:
    return InvalidInput(f"{url} cannot be asked: a header of its headers= cannot be sent", field="headers")


def _told(error: errors.A2AError, url: str) -> AgentTaskError:
    said, cause = error.message or str(error), error.__cause__
    if isinstance(error, errors.TaskNotFoundError):
        return ContextLost(f"{url} does not know the task: {said}")
    if isinstance(error, errors.TaskNotCancelableError):
        return StepFailed(f"{url} does not cancel the task: {said}", ended=True)
    if isinstance(error, _REFUSED):
        return InvalidInput(f"{url} refuses the request: {said}", field="input")
    if isinstance(error, errors.InternalError):
        return UpstreamUnavailable(f"{url} failed: {said}")
    if isinstance(cause, httpx.RequestError):
        return UpstreamUnavailable(f"{url} cannot be reached: {said}")
    if isinstance(error, AgentCardResolutionError):
        return InvalidInput(f"{url} has no card that can be read: {said}", field="a2a")
    if isinstance(error, A2AClientError) and isinstance(cause, httpx.HTTPStatusError):
        return InvalidInput(f"{url} refuses the request: {said}", field="input")
    return StepFailed(f"{url} answers otherwise than A2A says: {said}")
