"""The system's own agents, which work for steps of others: found by name, since they import what asks for them."""

from importlib import import_module
from typing import Any

from agent_tasks.authoring.peers.wire import Protocol, check_installed, is_installed

OWN: dict[str, tuple[Protocol, str]] = {
    "a2a-remote": ("a2a", "agent_tasks.authoring.peers.a2a_remote"),
    "mcp-watch": ("mcp", "agent_tasks.authoring.peers.mcp_watch"),
}
"""By name the extra without which nothing asks for it, and the module."""


def own_agent(name: str) -> Any:
    """Return one of the system's own agents. Raises InvalidInput where its extra is not installed: nobody serves it."""
    protocol, module = OWN[name]
    check_installed(protocol)
    return getattr(import_module(module), name.replace("-", "_"))


def load_own() -> None:
    """Import the system's own agents, which a worker serves for the tasks of its other agents."""
    for protocol, module in OWN.values():
        if is_installed(protocol):
            import_module(module)
