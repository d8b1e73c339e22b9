"""The libraries of the protocols, imported when a step first needs them."""

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from agent_tasks.errors import InvalidInput

Protocol = Literal["mcp", "a2a"]
_ready: dict[Protocol, Any] = {}


async def wire(protocol: Protocol) -> Any:
    """Return the module that speaks a protocol. Raises InvalidInput that names the extra, where it is not installed.

    It is imported in a thread, with all that its first request would import: that takes a second, which other steps'
    loop has not.
    """
    if (found := _ready.get(protocol)) is None:
        check_installed(protocol)
        found = _ready[protocol] = await asyncio.to_thread(_load, protocol)
    return found


def _load(protocol: Protocol) -> Any:
    module = import_module(f"agent_tasks.wires.{protocol}_wire")
    module.prepare()
    return module


def check_installed(protocol: Protocol) -> None:
    """Raise InvalidInput that names the extra, where a protocol cannot be spoken here."""
    if not is_installed(protocol):
        raise InvalidInput(
            f"{protocol.upper()} cannot be spoken here. Install it with: pip install 'agent-tasks[{protocol}]'",
            field=protocol,
        )


def is_installed(protocol: Protocol) -> bool:
    """Whether the extra of a protocol is installed here."""
    return find_spec(protocol) is not None
