"""Importing the modules that declare agents, named by the settings and by installed packages."""

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from traceback import extract_tb

from agent_tasks.errors import InvalidInput, text_of

log = logging.getLogger(__name__)
BUNDLED = {
    "orchestrator": "agent_tasks.bundled.research.orchestrator",
    "planner": "agent_tasks.bundled.planner.agent",
    "research": "agent_tasks.bundled.research.agent",
}
"""The agents that come with the system. None of them is loaded unless AGENT_TASKS_BUNDLED names it."""
_NOT_THEIRS = ("<frozen importlib", str(Path(__file__).parents[1]))


def import_from_current_folder() -> None:
    """Let modules of the current folder be imported, after everything that is installed."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def load_agents(modules: Sequence[str], bundled: Sequence[str] = ()) -> dict[str, Exception]:
    """Import `modules`, the bundled agents named, and the entry points of the group `agent_tasks.agents`.

    Returns the errors of those that failed, by name.
    """
    failed: dict[str, Exception] = {}
    for name, find in [*((m, str) for m in modules), *((b, _bundled_module) for b in bundled)]:
        try:
            importlib.import_module(find(name))
        except Exception as error:
            failed[name] = error
            log.debug("agents could not be loaded: name=%s", name, exc_info=True)
    for entry in entry_points(group="agent_tasks.agents"):
        try:
            entry.load()
        except Exception as error:
            failed[entry.value] = error
            log.debug("agents could not be loaded: entry_point=%s value=%s", entry.name, entry.value, exc_info=True)
    return failed


def why_not_loaded(module: str, error: Exception) -> str:
    """Return the error, and the line of the user's code that it comes from."""
    said = f"{type(error).__name__}: {text_of(error)}"
    if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
        return f"{said}. Start in the folder that contains it, or set PYTHONPATH"
    frames = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith(_NOT_THEIRS)]
    if isinstance(error, SyntaxError) or not frames:  # a syntax error says where it is
        return said
    return f"{said} ({frames[-1].filename}, line {frames[-1].lineno})"


def _bundled_module(name: str) -> str:
    """Return the module that declares a bundled agent. Raises InvalidInput that lists the known ones."""
    try:
        return BUNDLED[name]
    except KeyError:
        raise InvalidInput(
            f"No bundled agent is named {name!r}; choose from {', '.join(sorted(BUNDLED))}", field="AGENT_TASKS_BUNDLED"
        ) from None
