"""*Agents*: what each is for and may do, what its tasks take, and a form that submits one."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from agent_tasks.client.agents import AgentInfo
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.gateway.hook_form import HookForm
from agent_tasks.store.queries import console
from agent_tasks.store.queries.console import StepTimesRow, UsualRow
from agent_tasks.task.budget import RESOURCES

ALSO = ("session_id", "metadata", *RESOURCES)
"""The fields of the form that are not of the input."""


@dataclass(frozen=True)
class Asking:
    """An agent with the form of its input."""

    agent: AgentInfo
    form: HookForm
    usual: UsualRow | None
    """What its latest completed tasks took."""
    steps: list[StepTimesRow]
    """How long their steps took, the slowest first."""
    values: dict[str, str]
    once: str
    """By which the same form, sent twice, submits one task."""
    also: dict[str, str] = field(default_factory=lambda: dict.fromkeys(ALSO, ""))
    """What was filled in beside the input."""
    errors: dict[str, str] = field(default_factory=dict[str, str])
    problem: str = ""


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    known = look.client.agents()
    with look.client.database.connection() as connection:
        names = [agent.name for agent in known]
        usual = console.usual(connection, names, look.caller.viewer)
        steps = console.step_times(connection, names, look.caller.viewer)
    return {"agents": [asking(agent, usual.get(agent.name), steps.get(agent.name)) for agent in known]}


def asking(agent: AgentInfo, usual: UsualRow | None = None, steps: list[StepTimesRow] | None = None) -> Asking:
    """An agent with an empty form."""
    form = form_of(agent)
    return Asking(
        agent, form, usual, steps or [], {each.name: each.initial for each in form.fields}, secrets.token_hex(16)
    )


def form_of(agent: AgentInfo) -> HookForm:
    """The form of what an agent takes; one without fields where it takes nothing."""
    if agent.input_schema is None or not agent.input_schema.get("properties"):
        return HookForm("", ())
    return HookForm.of(agent.input_schema)
