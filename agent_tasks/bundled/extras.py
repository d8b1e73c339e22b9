"""Imports of the optional libraries, with an error that says which extra provides them."""

from importlib import import_module
from typing import Any

from agent_tasks import StepFailed


def optional(module: str, extra: str) -> Any:
    """Import `module` on first use, so that loading the agent stays fast.

    Raises StepFailed, which is not retried, if the extra is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise StepFailed(
            f"A bundled agent needs {module!r} here. Install it with: pip install 'agent-tasks[{extra}]'",
            module=module,
            extra=extra,
        ) from error
