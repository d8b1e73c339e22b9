"""Page: an address of the console, and what is looked up for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent_tasks.gateway.console.visitor import Look
from agent_tasks.gateway.operations import Operation


@dataclass(frozen=True)
class Page:
    """A page that is made whole on the server, and again where something has changed."""

    name: str
    """Also that of its template."""
    path: str
    """Below /console."""
    operation: Operation
    look: Callable[[Look], dict[str, Any]]
    """Returns what the template shows; called in a thread."""
    is_of_task: bool = False
    """Its path names one task, whose changes it follows."""
    is_live: bool = True
    reads: tuple[str, ...] = ()
    """The names behind the `?` of its address that it knows; it is the same page whatever else is there."""
