"""The permissions of an agent: the functions that it may call, and the scopes that its caller needs."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent_tasks.authoring.functions import is_same, name_of
from agent_tasks.errors import PermissionDenied
from agent_tasks.task.arguments import is_storable, refused
from agent_tasks.task.identity import Identity

ANY: Literal["*"] = "*"
Tool = Callable[..., Any] | str
"""A function, or a function's name as it was defined: `search`, `Client.search` or `acme.tools.search`."""


class Tools:
    """The functions that `ctx.call` may be given. Raises InvalidInput for anything but functions and names."""

    def __init__(self, given: "Sequence[Tool] | Literal['*']") -> None:
        tools: list[Any] = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]  # pyright: ignore
        for tool in tools:
            if not callable(tool) and not (isinstance(tool, str) and tool and is_storable(tool)):
                raise refused("Agent(tools=) takes functions, their names, or '*' for all", tool, "tools")
        self._functions = [tool for tool in tools if callable(tool)]
        self._names = {tool for tool in tools if isinstance(tool, str)}
        self.are_all = ANY in self._names

    @property
    def names(self) -> list[str]:
        """The tools' names, to show."""
        return [ANY] if self.are_all else sorted(self._names | {name_of(tool) for tool in self._functions})

    def check(self, agent: str, function: Callable[..., Any]) -> None:
        """Raise PermissionDenied if the function is not one of the tools."""
        if self.are_all or self.have(function):
            return
        name = name_of(function)
        raise PermissionDenied(
            f"Agent {agent!r} may not call {name}: its tools are {', '.join(self.names) or 'none'}. Add it to "
            f"Agent({agent!r}, tools=[...]) if it should.",
            agent=agent,
            call=name,
            tools=self.names,
        )

    def have(self, function: Any) -> bool:
        """Whether the function is one of those that are named, and not only let through with all others."""
        while isinstance(function, functools.partial):
            function = function.func
        return any(is_same(function, tool) for tool in self._functions) or not self._names.isdisjoint(_names(function))


def _names(function: Any) -> set[str]:
    name = name_of(function)
    qualified: str = getattr(function, "__qualname__", None) or type(function).__qualname__
    return {name, qualified, f"{getattr(function, '__module__', None)}.{qualified}"}


@dataclass(frozen=True)
class Declared:
    """An agent's own description: its goal, tools and scopes."""

    goal: str | None
    tools: Sequence[str]
    scopes: Sequence[str]

    @classmethod
    def registered(cls, definition: dict[str, Any]) -> "Declared":
        """Build it from a worker's registration; workers of 0.1.0 registered none of it."""
        return cls(definition.get("goal"), definition.get("tools") or [ANY], definition.get("scopes") or ())


def check_scopes(agent: str, needed: Iterable[str], identity: Identity | None) -> None:
    """Raise PermissionDenied if `identity` lacks a scope that the agent needs; None is a trusted program."""
    if identity is None:
        return
    if missing := [scope for scope in needed if scope not in identity.scopes]:
        raise PermissionDenied(
            f"{identity.subject!r} may not run the agent {agent!r} without the scope{'s' if len(missing) > 1 else ''} "
            f"{', '.join(missing)}.",
            agent=agent,
            missing=missing,
        )
