"""tasks/get, tasks/update and tasks/cancel: looking at a task, answering it, and ending it."""

import hashlib
from typing import Any, cast

from mcp import types
from mcp.shared.exceptions import MCPError
from pydantic import Field

from agent_tasks.errors import InvalidState, TaskNotFound
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.mcp.capabilities import check_task_request
from agent_tasks.gateway.mcp.passage import Context, Passage
from agent_tasks.gateway.mcp.questions import Question, questions
from agent_tasks.gateway.mcp.shown import ShownTask
from agent_tasks.gateway.stages.route import find

ACTIONS = ("accept", "decline", "cancel")
_NOT_GIVEN = {"action": "decline"}


class TaskParams(types.RequestParams):
    """Which task is meant."""

    task_id: str = Field(alias="taskId")


class UpdateParams(TaskParams):
    """Answers to what a task asks for, by the keys of its requests."""

    input_responses: dict[str, Any] = Field(alias="inputResponses")


class Tasks:
    """What clients do with tasks, whoever has started them."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    async def get(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """The task as it stands, with its result, its error, or what it asks for."""
        check_task_request(ctx, params.task_id)

        def look(gate: Gate, caller: Caller) -> dict[str, Any]:
            return ShownTask(gate.client, find(gate, caller, params.task_id).snapshot()).detailed

        return await self._passage.perform(ctx, look)

    async def update(self, ctx: Context, params: UpdateParams) -> dict[str, Any]:
        """Send the task the signals that the answers are; what is not asked for, or not any more, is passed over."""
        check_task_request(ctx, params.task_id)

        def answer(gate: Gate, caller: Caller) -> None:
            seen = find(gate, caller, params.task_id).read()
            answers: list[tuple[Question, Any]] = []
            for each in questions(gate.client, seen):
                given = _accepted(each, params.input_responses.get(each.key, _NOT_GIVEN))
                if given is not None:
                    answers.append((each, each.form.read(given)))
            for question, payload in answers:  # all are read before one is sent
                _answer(gate, caller, params.task_id, question, payload)

        await self._passage.perform(ctx, answer)
        return {"resultType": "complete"}

    async def cancel(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """End the task and all below it; one that has ended stays as it is."""
        check_task_request(ctx, params.task_id)
        await self._passage.perform(ctx, lambda gate, caller: find(gate, caller, params.task_id).cancel())
        return {"resultType": "complete"}


def _accepted(question: Question, response: Any) -> Any:
    """The content of an answer; None where it is declined: the task waits on for others. Raises MCPError."""
    given = cast(dict[str, Any], response) if isinstance(response, dict) else {}
    if given.get("action") not in ACTIONS:
        raise MCPError(
            types.INVALID_PARAMS, f"inputResponses.{question.key}: action must be one of {', '.join(ACTIONS)}"
        )
    return given.get("content") or {} if given["action"] == "accept" else None


def _answer(gate: Gate, caller: Caller, task_id: str, question: Question, payload: Any) -> None:
    """Send one signal."""
    try:
        find(gate, caller, task_id).signal(
            question.signal,
            payload,
            signal_id=f"mcp-{hashlib.sha256(question.key.encode()).hexdigest()}",
            wait_id=question.wait_id,
            identity=caller.identity,
        )
    except TaskNotFound:
        raise
    except InvalidState:
        return  # somebody else has answered meanwhile, or the wait is over
