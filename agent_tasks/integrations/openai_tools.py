"""Which tools of an agent of the OpenAI Agents SDK a run can record; the others are refused before it begins."""

from collections.abc import Iterator
from typing import Any

from agents import (
    Agent,
    CodeInterpreterTool,
    FileSearchTool,
    FunctionTool,
    HostedMCPTool,
    ImageGenerationTool,
    ShellTool,
    WebSearchTool,
)
from agents import tool as tools_of_sdk
from agents.models.interface import Model

from agent_tasks.errors import InvalidInput

_BY_THE_PROVIDER = (
    CodeInterpreterTool,
    FileSearchTool,
    HostedMCPTool,
    ImageGenerationTool,
    WebSearchTool,
    *(getattr(tools_of_sdk, name) for name in ("ToolSearchTool",) if hasattr(tools_of_sdk, name)),
)
"""Tools that the model's provider runs: what they did is part of the recorded answer."""


def check_tools(agent: Agent[Any]) -> None:
    """Raise InvalidInput for what a repeat of the step would run again, or what would not be charged."""
    if agent.mcp_servers:
        raise InvalidInput(
            f"Agent {agent.name} has MCP servers, whose tools are not recorded: a step that is repeated would call "
            "them again. Give it a function tool that calls the server."
        )
    for tool in agent.tools:
        if isinstance(tool, FunctionTool):
            inner = getattr(tool, "_agent_instance", None)
            if isinstance(inner, Agent):
                _check_inner(tool.name, inner)
        elif not isinstance(tool, _BY_THE_PROVIDER) and not _is_hosted_shell(tool):
            raise InvalidInput(
                f"Tool {tool.name} of agent {agent.name} is a {type(tool).__name__} that runs here and is not "
                "recorded: a step that is repeated would run it again. Give the agent a function tool instead."
            )


def _is_hosted_shell(tool: Any) -> bool:
    return isinstance(tool, ShellTool) and tool.executor is None


def _check_inner(tool: str, agent: Agent[Any]) -> None:
    """Check an agent that is a tool: its whole run is one recorded call."""
    for inner in _all_within(agent, set()):
        if isinstance(inner.model, Model):
            raise InvalidInput(
                f"Agent {inner.name}, which is the tool {tool}, has a model object, whose requests would not be "
                "charged. Name its model, or hand over to it (handoffs=[…])."
            )
        for each in inner.tools:
            if getattr(each, "needs_approval", False):
                raise InvalidInput(
                    f"Tool {each.name} of agent {inner.name}, which is the tool {tool}, needs an approval: its run is "
                    "one recorded call, in which a step cannot wait. Hand over to the agent (handoffs=[…])."
                )


def _all_within(agent: Agent[Any], seen: set[int]) -> Iterator[Agent[Any]]:
    """The agent, and those that it hands over to or has as tools."""
    if id(agent) in seen:
        return
    seen.add(id(agent))
    yield agent
    for other in (*agent.handoffs, *(getattr(tool, "_agent_instance", None) for tool in agent.tools)):
        if isinstance(other, Agent):
            yield from _all_within(other, seen)
