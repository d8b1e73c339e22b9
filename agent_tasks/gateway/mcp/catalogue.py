"""The agents as tools, by the names that hosts know them by."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp import types

from agent_tasks.client.agents import AgentInfo, ToolInfo
from agent_tasks.gateway.known_agents import KnownAgents, OfAgents
from agent_tasks.task.identity import Identity

log = logging.getLogger(__name__)


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


def tools_of(agents: Sequence[AgentInfo]) -> Mapping[str, AgentTool]:
    """The tools by name, in its order. Where two agents would have one name, it is that of the one that is called so,
    else of the first of them."""
    found: dict[str, AgentTool] = {}
    for tool, agent in sorted(
        ((agent.mcp, agent) for agent in agents if agent.mcp is not None), key=lambda each: each[0].name != each[1].name
    ):
        if tool.name in found:
            log.warning("agent has no tool, its name is taken: agent=%s tool=%s", agent.name, tool.name)
        else:
            found[tool.name] = AgentTool(agent, tool)
    return {name: found[name] for name in sorted(found)}


class Catalogue:
    """The tools of a deployment. Thread-safe."""

    def __init__(self, agents: KnownAgents) -> None:
        self._tools = OfAgents(agents, tools_of)

    def tools(self) -> Mapping[str, AgentTool]:
        """All tools by name, as they were at most a second ago."""
        return self._tools.read()

    def seen_schema(self, name: str) -> dict[str, Any] | None:
        """The schema of a tool as it was last read; None where it was not. Asks nobody."""
        found = (self._tools.last or {}).get(name)
        return None if found is None else found.input_schema
