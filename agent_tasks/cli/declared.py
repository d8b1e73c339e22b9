"""Finds the agents that the settings name, in a separate process so that `dev` itself imports no user's code.

Prints JSON: `agents`, each with its name, its module and an input to try it with; `failed`, why a named module does
not load; `left_out`, why an installed package does not.
"""

import json
import os
from typing import Any

from agent_tasks.authoring.agent import Agent, loaded_agents
from agent_tasks.authoring.loading import import_from_current_folder, load_agents, why_not_loaded
from agent_tasks.errors import AgentTaskError

_VALUES = {"string": "…", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}, "null": None}


def main() -> None:
    modules, bundled = _names("AGENT_TASKS_AGENTS"), _names("AGENT_TASKS_BUNDLED")
    import_from_current_folder()
    failed = load_agents(modules, bundled)
    found = [{"name": a.name, "module": a.module, "input": example(a)} for a in loaded_agents().values() if a.steps]
    reasons = {name: why_not_loaded(name, error) for name, error in failed.items()}
    named = {name: reasons.pop(name) for name in (*modules, *bundled) if name in reasons}
    print(json.dumps({"agents": found, "failed": named, "left_out": reasons}))


def _names(variable: str) -> list[str]:
    return [name for part in os.environ.get(variable, "").split(",") if (name := part.strip())]


def example(agent: Agent) -> dict[str, Any] | None:
    """Return an example of the first step's input; None if it cannot be derived."""
    try:
        schema = agent.first_step.arguments.json_schema()
    except (AgentTaskError, ValueError, TypeError):
        return None
    return {name: _value(schema["properties"].get(name, {})) for name in schema.get("required", [])}


def _value(schema: dict[str, Any]) -> Any:
    if "default" in schema or "enum" in schema:
        return schema.get("default", schema.get("enum", [None])[0])
    return _VALUES.get(schema.get("type", ""), "…")


if __name__ == "__main__":
    main()
