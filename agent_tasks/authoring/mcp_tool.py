"""McpTool: how an agent is shown to hosts of the Model Context Protocol, as a tool."""

import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel

from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import check_text, refused

WhenTask = Literal["auto", "required", "never"]
"""Whether a call becomes a task that the host polls."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_HINTS = {
    "read_only": "readOnlyHint",
    "destructive": "destructiveHint",
    "idempotent": "idempotentHint",
    "open_world": "openWorldHint",
}


@dataclass(frozen=True, slots=True)
class McpTool:
    """The tool that an agent is to hosts of the Model Context Protocol: `Agent("writer", mcp=McpTool(…))`.

    `name` (letters, digits, `_`, `-` and `.`) is the agent's own unless given; `description` its goal, else what the
    function of its first step says of itself. `task`: `auto` answers a call with the result where that comes soon, else
    with a task; `required` always with a task, `never` with one. `ask` is a pydantic model of arguments of the first
    step: the host asks its user for them before there is a task, and whoever calls the tool cannot give them. `title`
    is for people. `read_only`, `destructive`, `idempotent` and `open_world` are hints of what a call does.

    Raises InvalidInput for values that mean nothing.
    """

    name: str | None = None
    description: str | None = None
    task: WhenTask = "auto"
    ask: type[BaseModel] | None = None
    title: str | None = None
    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None

    def __post_init__(self) -> None:
        name: Any = self.name
        if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise refused("McpTool(name=) must be 1 to 128 letters, digits, '_', '-' and '.'", name, "name")
        for field in ("description", "title"):
            if getattr(self, field) is not None:
                check_text(getattr(self, field), field, 4000)
        if self.task not in get_args(WhenTask):
            raise refused(f"McpTool(task=) must be one of {', '.join(get_args(WhenTask))}", self.task, "task")
        ask: Any = self.ask
        if ask is not None and not (isinstance(ask, type) and issubclass(ask, BaseModel) and ask.model_fields):
            raise refused("McpTool(ask=) must be a pydantic model with fields", ask, "ask")
        for field in _HINTS:
            if type(getattr(self, field)) not in (bool, type(None)):
                raise refused(f"McpTool({field}=) must be True, False or None", getattr(self, field), field)

    def definition(
        self, agent: str, goal: str | None, function: Callable[..., Any], takes: Collection[str]
    ) -> dict[str, Any]:
        """Return it as JSON, for an agent whose first step is this function and takes these arguments.

        Raises InvalidInput where `ask` has a field that is none of them.
        """
        asked = None if self.ask is None else self.ask.model_json_schema()
        unknown = [name for name in (asked or {}).get("properties", {}) if name not in takes]
        if unknown:
            raise InvalidInput(
                f"McpTool(ask=) of agent {agent!r} asks for {', '.join(unknown)}, and its first step takes "
                f"{', '.join(takes) or 'nothing'}. Ask for arguments of that step.",
                field="ask",
            )
        said = {ours: getattr(self, ours) for ours in ("title", *_HINTS)}
        return {
            "name": self.name or agent,
            "description": self.description or goal or inspect.getdoc(function),
            "task": self.task,
            "ask": asked,
            "annotations": {_HINTS.get(name, name): value for name, value in said.items() if value is not None},
        }
