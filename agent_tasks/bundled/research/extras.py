"""Imports of the optional libraries, with an error that says which extra brings them."""

from importlib import import_module
from typing import Any

from agent_tasks import StepFailed


def optional(module: str, extra: str) -> Any:
    """`module`, imported on first use so that loading the agent stays fast.

    Raises StepFailed, which is not retried, where the extra is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise StepFailed(
            f"The research agent needs {module!r} here. Install it with: pip install 'agent-tasks[{extra}]'",
            module=module,
            extra=extra,
        ) from error
