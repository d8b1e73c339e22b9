"""The agents as tools, by the names that hosts know them by."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from mcp import types

from agent_tasks.client.agents import AgentInfo, ToolInfo
from agent_tasks.client.client import AgentTasks
from agent_tasks.task.identity import Identity

log = logging.getLogger(__name__)
_FRESH_SECONDS = 1.0
"""What was read of the agents serves for so long."""


@dataclass(frozen=True)
class AgentTool:
    """An agent, and the tool that it is."""

    agent: AgentInfo
    tool: ToolInfo

    def may_be_run_by(self, identity: Identity | None) -> bool:
        """Whether an identity has the scopes that the agent needs; None is a trusted program."""
        return identity is None or set(self.agent.scopes) <= set(identity.scopes)

    @property
    def asked(self) -> dict[str, Any]:
        """The fields that the host asks its user for, by name."""
        return (self.tool.ask or {}).get("properties", {})

    @property
    def input_schema(self) -> dict[str, Any]:
        """The schema of the arguments that a call may give."""
        whole = self.agent.input_schema or {}
        properties = {name: part for name, part in whole.get("properties", {}).items() if name not in self.asked}
        required = [name for name in whole.get("required", []) if name not in self.asked]
        kept = {name: part for name, part in whole.items() if name not in ("title", "properties", "required")}
        return {**kept, "type": "object", "properties": properties, **({"required": required} if required else {})}

    @property
    def shown(self) -> types.Tool:
        """The tool as hosts are shown it."""
        said = self.tool.annotations
        return types.Tool(
            name=self.tool.name,
            title=said.get("title"),
            description=self.tool.description or f"The agent {self.agent.name}.",
            input_schema=self.input_schema,
            annotations=types.ToolAnnotations.model_validate(said, by_name=False) if said else None,
        )


class Catalogue:
    """The tools of a deployment. Thread-safe; what is read is kept for a second."""

    def __init__(self, client: AgentTasks) -> None:
        self._client = client
        self._tools: Mapping[str, AgentTool] = {}
        self._read_at = float("-inf")

    def tools(self) -> Mapping[str, AgentTool]:
        """All tools by name, in its order. Where two agents would have one name, it is that of the first of them."""
        if monotonic() - self._read_at >= _FRESH_SECONDS:
            began = monotonic()
            found: dict[str, AgentTool] = {}
            agents = [agent for agent in self._client.agents() if agent.mcp is not None]
            for agent in sorted(agents, key=lambda each: each.mcp is not None and each.name != each.mcp.name):
                tool = agent.mcp
                assert tool is not None
                if tool.name in found:
                    log.warning("agent has no tool, its name is taken: agent=%s tool=%s", agent.name, tool.name)
                else:
                    found[tool.name] = AgentTool(agent, tool)
            self._tools, self._read_at = {name: found[name] for name in sorted(found)}, began
        return self._tools

    def seen_schema(self, name: str) -> dict[str, Any] | None:
        """The schema of a tool as it was last read; None where it was not. Asks nobody."""
        found = self._tools.get(name)
        return None if found is None else found.input_schema
