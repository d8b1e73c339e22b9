"""The agents that can be asked: what workers have registered, and what this process has loaded."""

import logging
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from agent_tasks.authoring.agent import loaded_agents
from agent_tasks.authoring.definition import definition
from agent_tasks.authoring.mcp_tool import WhenTask
from agent_tasks.authoring.permissions import ANY
from agent_tasks.deployment import Deployment
from agent_tasks.store.queries import catalog
from agent_tasks.task.budget import Budget

log = logging.getLogger(__name__)


class ToolInfo(BaseModel):
    """The tool that an agent is to hosts of the Model Context Protocol."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str | None = None
    """What it is for."""
    task: WhenTask = "auto"
    """Whether a call becomes a task: as seems best, always, or never."""
    ask: dict[str, Any] | None = None
    """The JSON schema of what the host asks its user for before there is a task; None: nothing."""
    annotations: dict[str, Any] = {}
    """Its title and hints of what a call does, by the names of the protocol."""


class AgentInfo(BaseModel):
    """What a caller needs to know of an agent."""

    model_config = ConfigDict(frozen=True)

    name: str
    goal: str | None = None
    """What it is for."""
    first_step: str
    """The step that a task starts with."""
    input_schema: dict[str, Any] | None = None
    """The JSON schema of the first step's arguments; None if they have none."""
    tools: list[str] = [ANY]
    """The functions that it may call; `*` for any."""
    scopes: list[str] = []
    """The scopes that an identity needs to run it."""
    signals: list[str] | None = None
    """The signals that it declares; None: it takes any."""
    payload_schemas: dict[str, Any] = {}
    """The JSON schemas of the payloads that its steps take, by step."""
    a2a: dict[str, Any] | None = None
    """What it says of itself over A2A: the fields of its `A2ASkill`, or `{"hidden": true}`; None: nothing."""
    mcp: ToolInfo | None = None
    """The tool that it is to hosts of the Model Context Protocol; None: it is none."""
    queue: str | None = None
    """Its own queue; None for that of AGENT_TASKS_QUEUE."""
    ttl: float | None = None
    """Its own ttl, in seconds."""
    retention: float | None = None
    """Its own retention, in seconds."""
    budget: Budget | None = None
    """The limits of a task whose submit names none."""
    sensitive: bool = False
    """Whether what its tasks record is purged when they are given up."""
    registered_at: datetime | None = None
    """When a worker last registered it; None if only this process knows it."""


def known_agents(deployment: Deployment) -> list[AgentInfo]:
    """Return all agents, sorted by name; one that is loaded here is described by its code."""
    with deployment.database.connection() as connection:
        rows = catalog.registered_agents(connection)
    found = {row["name"]: AgentInfo(**_fields(row["name"], row["definition"], row["seen_at"])) for row in rows}
    seen = {row["name"]: row["seen_at"] for row in rows}
    for name, agent in loaded_agents().items():
        if agent.steps:
            try:
                found[name] = AgentInfo(**_fields(name, definition(agent), seen.get(name)))
            except Exception:  # an annotation of somebody's own: a worker would refuse to start with it
                log.exception("agent cannot be shown: agent=%s", name)
    return [found[name] for name in sorted(found)]


def _fields(name: str, said: dict[str, Any], seen_at: datetime | None) -> dict[str, Any]:
    known = {key: value for key, value in said.items() if key in AgentInfo.model_fields and value is not None}
    budget = Budget.from_dict(said["budget"]) if said.get("budget") else None
    return {**known, "name": name, "budget": budget, "registered_at": seen_at, "mcp": known_tool(name, said)}


def known_tool(name: str, said: dict[str, Any]) -> ToolInfo | None:
    """Return the tool that an agent is by its definition, which has nothing of it where an earlier release wrote it."""
    tool = said.get("mcp", {"name": name, "description": said.get("goal")})
    return None if tool is None else ToolInfo.model_validate(tool)
