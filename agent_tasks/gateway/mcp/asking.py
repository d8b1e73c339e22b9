"""Asking the host's user before there is a task: a call is answered with a form, and comes again filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp import types

from agent_tasks.authoring.agent import checked_against
from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.hook_form import heading_of
from agent_tasks.gateway.mcp import results
from agent_tasks.gateway.mcp.capabilities import can_ask
from agent_tasks.gateway.mcp.catalogue import AgentTool
from agent_tasks.gateway.mcp.errors import lacks
from agent_tasks.gateway.mcp.forms import ElicitationForm
from agent_tasks.gateway.mcp.passage import Context

KEY = "ask"
"""By which the form is answered."""


@dataclass(frozen=True)
class Answered:
    """The arguments of a call with what its user has said, or what the call is answered with instead of a task."""

    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    instead: dict[str, Any] | None = None


class Asking:
    """What one tool asks for."""

    def __init__(self, found: AgentTool) -> None:
        self._found = found
        self._form = ElicitationForm(found.tool.ask)

    def answered(self, ctx: Context, arguments: dict[str, Any], responses: Mapping[str, Any] | None) -> Answered:
        """Ask, or take what was answered. Raises MCPError for a client that cannot ask.

        Raises InvalidInput for an answer that does not fit, and where the call gives what its user is asked for.
        """
        if given := [name for name in self._found.asked if name in arguments]:
            raise InvalidInput(
                f"{self._found.tool.name} does not take {given[0]} from whoever calls it: its user is asked for it. "
                "Leave it out.",
                field=given[0],
            )
        response = (responses or {}).get(KEY)
        if response is None:
            if not can_ask(ctx):
                raise lacks(elicitation={"form": {}})
            asked_by = f"{heading_of(self._found.tool.name)} asks for this"
            requests = {KEY: self._form.request(asked_by)}
            return Answered(instead={"resultType": "input_required", "inputRequests": requests})
        if not isinstance(response, types.ElicitResult) or response.action != "accept":
            return Answered(instead=results.said("Nothing was done: what was asked for was not given."))
        content = self._form.read(response.content or {})
        said = checked_against(self._found.tool.ask, content, self._found.tool.name, "answer")
        return Answered({**arguments, **said})
