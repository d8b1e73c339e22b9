"""What there is to know of an agent without its code."""

from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from agent_tasks.authoring.a2a_skill import registered
from agent_tasks.authoring.agent import Agent


def definition(agent: Agent) -> dict[str, Any]:
    """What a worker registers of an agent, as JSON. Raises whatever its annotations raise."""
    first, schema = agent.first_step, json_schema(agent.first_step.arguments)
    takes = list((schema or {}).get("properties", {}))
    return {
        "first_step": first.name,
        "budget": {k: v for k, v in agent.budget.as_dict().items() if v is not None} if agent.budget else None,
        "sensitive": agent.sensitive,
        "queue": agent.queue,
        "ttl": agent.ttl,
        "retention": agent.retention,
        "input_schema": schema,
        "goal": agent.goal,
        "tools": agent.tools.names,
        "scopes": list(agent.scopes),
        "mode": agent.mode,
        "mode_hints": list(agent.mode_hints),
        "a2a": registered(agent.a2a),
        "mcp": None if agent.mcp is None else agent.mcp.definition(agent.name, agent.goal, first.function, takes),
        "signals": sorted(agent.signals) if agent.signals is not None else None,
        "payload_schemas": {
            step.name: json_schema(step.payload_type.adapter)
            for step in [*agent.steps.values(), *agent.former.values()]
            if step.payload_type is not None
        },
    }


def json_schema(adapter: TypeAdapter[Any]) -> dict[str, Any] | None:
    """Return the JSON schema of a type; None for one that JSON schema cannot describe."""
    try:
        return adapter.json_schema()
    except PydanticInvalidForJsonSchema:
        return None
