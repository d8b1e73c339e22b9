"""The context of the step within which a framework runs an agent."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from agent_tasks.authoring.context import Context
from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import refused

_current: ContextVar[Context | None] = ContextVar("agent_tasks_context", default=None)


@contextmanager
def durable(ctx: Context) -> Generator[None]:
    """Record every model request and tool call that a framework makes within the `with`, as calls of this step.

    Raises InvalidInput for anything but the context of an async step.
    """
    given: Any = ctx
    if not isinstance(given, Context):
        raise refused("A framework's agent runs in an async step, with its Context", given, "ctx")
    token = _current.set(ctx)
    try:
        yield
    finally:
        with suppress(ValueError):  # a coroutine that was left behind may be closed in another context
            _current.reset(token)


def current() -> Context | None:
    """Return the context of the step around this code; None outside of `durable`."""
    return _current.get()


def missing(error: ModuleNotFoundError, modules: Sequence[str], extra: str) -> InvalidInput:
    """Return the error that names the extra, where the framework is not installed; else raise the error itself."""
    if error.name is None or error.name.partition(".")[0] not in modules:
        raise error
    return InvalidInput(f"{error.name} is not installed: pip install 'agent-tasks[{extra}]'", name=error.name)
