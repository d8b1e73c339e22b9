"""The operator's tools: with these a coding agent looks after tasks, and does nothing that its token may not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mcp import types
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_tasks.errors import ErrorType, InvalidInput
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import BudgetBody
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.mcp.methods import OPERATOR_TOOLS
from agent_tasks.gateway.mcp.standing import standing
from agent_tasks.gateway.stages.limit import budget_of
from agent_tasks.gateway.stages.route import find
from agent_tasks.task.identity import Identity
from agent_tasks.task.scopes import Scope
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.task_filter import TaskFilter


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Search(_Arguments):
    status: TaskStatus | None = None
    agent: str | None = None
    step: str | None = Field(None, description="The step that it is at, or ended at.")
    queue: str | None = None
    session_id: str | None = None
    error_type: ErrorType | None = None
    metadata: dict[str, str | int | float | bool] | None = Field(None, description="Keys and values of its metadata.")
    text: str | None = Field(None, description="The beginning of an id, or words of the error.")
    created_after: datetime | None = None
    created_before: datetime | None = None
    ended_after: datetime | None = None
    ended_before: datetime | None = None
    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(None, description="The `next` of the page before.")


class _OfTask(_Arguments):
    task_id: str


class _Signal(_OfTask):
    name: str
    payload: Any = None
    signal_id: str | None = Field(None, description="Sending it again has no second effect.")
    wait_id: str | None = Field(None, description="The one wait that it answers.")


class _Cancel(_OfTask):
    reason: str = "cancelled by request"


class _Resume(_OfTask):
    from_step: int | None = Field(None, ge=0, description="An earlier step number than the last checkpoint's: a fork.")
    budget: BudgetBody | None = None


class _Tree(_OfTask):
    root: bool = Field(False, description="The whole tree to which it belongs.")


def _search(gate: Gate, caller: Caller, asked: _Search) -> BaseModel:
    wanted = TaskFilter(**asked.model_dump(exclude={"limit", "after"}))
    return gate.client.search(wanted, limit=asked.limit, after=asked.after, identity=caller.viewer)


def _why_waiting(gate: Gate, caller: Caller, asked: _OfTask) -> BaseModel:
    return standing(gate.client, find(gate, caller, asked.task_id).stored())


def _signal(gate: Gate, caller: Caller, asked: _Signal) -> BaseModel:
    return find(gate, caller, asked.task_id).signal(
        asked.name, asked.payload, signal_id=asked.signal_id, wait_id=asked.wait_id, identity=caller.identity
    )


def _cancel(gate: Gate, caller: Caller, asked: _Cancel) -> BaseModel:
    return find(gate, caller, asked.task_id).cancel(asked.reason)


def _resume(gate: Gate, caller: Caller, asked: _Resume) -> BaseModel:
    resumed = find(gate, caller, asked.task_id).resume(budget=budget_of(asked.budget), from_step=asked.from_step)
    return resumed.seen or resumed.look()


def _tree(gate: Gate, caller: Caller, asked: _Tree) -> BaseModel:
    return find(gate, caller, asked.task_id).tree(root=asked.root)


@dataclass(frozen=True)
class OperatorTool:
    """One of the tools."""

    description: str
    arguments: type[_Arguments]
    work: Callable[[Gate, Caller, Any], BaseModel]
    hints: Mapping[str, bool]

    def use(self, gate: Gate, caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
        """Do it as the caller, and return what it answers as JSON. Raises InvalidInput, TaskNotFound."""
        try:
            asked = self.arguments.model_validate(dict(given))
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            field = ".".join(map(str, wrong["loc"]))
            raise InvalidInput(f"{field}: {wrong['msg']}", field=field) from None
        return self.work(gate, caller, asked).model_dump(mode="json")

    def shown(self, name: str) -> types.Tool:
        """The tool as hosts are shown it."""
        return types.Tool(
            name=name,
            description=self.description,
            input_schema=self.arguments.model_json_schema(),
            annotations=types.ToolAnnotations.model_validate(dict(self.hints), by_name=False),
        )


_READS = {"readOnlyHint": True}
_CHANGES = {"readOnlyHint": False, "destructiveHint": False}
TOOLS = {
    "search": OperatorTool("Find tasks, the newest first; ended ones too.", _Search, _search, _READS),
    "why_waiting": OperatorTool(
        "Say where a task stands and why it does not go on: what it waits for, who paused it, whether any worker "
        "serves it, what ended it, and what to do.",
        _OfTask,
        _why_waiting,
        _READS,
    ),
    "signal": OperatorTool("Send a task a signal, with the payload that its step takes.", _Signal, _signal, _CHANGES),
    "cancel": OperatorTool(
        "End a task and all below it.", _Cancel, _cancel, {"readOnlyHint": False, "destructiveHint": True}
    ),
    "resume": OperatorTool(
        "Go on with a task that has ended, as a new task, from its last checkpoint.", _Resume, _resume, _CHANGES
    ),
    "tree": OperatorTool("Show a task and all that it has spawned.", _Tree, _tree, _READS),
}
assert set(TOOLS) == set(OPERATOR_TOOLS)


def may_operate(identity: Identity | None) -> bool:
    """Whether these tools are shown: to a trusted program, and to those with the scope."""
    return identity is None or bool({Scope.ADMIN, Scope.MCP} & set(identity.scopes))
