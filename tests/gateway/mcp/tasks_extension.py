"""The extension of tasks for the official SDK's client: it polls, answers, and gives back the result."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from mcp import types
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from pydantic import Field

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class CreatedTask(types.Result):
    """What a call is answered with in place of its result."""

    result_type: Literal["task"] = Field("task", alias="resultType")
    task_id: str = Field(alias="taskId")
    status: str
    ttl_ms: int | None = Field(alias="ttlMs")
    poll_interval_ms: int | None = Field(None, alias="pollIntervalMs")


class DetailedTask(CreatedTask):
    """What `tasks/get` answers."""

    result_type: str = Field("complete", alias="resultType")  # type: ignore[assignment]
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    input_requests: dict[str, Any] | None = Field(None, alias="inputRequests")


class GetTask(types.Request[dict[str, Any], Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    name_param = "taskId"


class UpdateTask(types.Request[dict[str, Any], Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    name_param = "taskId"


class CancelTask(types.Request[dict[str, Any], Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    name_param = "taskId"


class Tasks(ClientExtension):
    """`answer` fills in the forms that tasks ask for; `between` is called before each poll."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, answer: Answer, between: Callable[[], Awaitable[None]] | None = None) -> None:
        self._answer = answer
        self._between = between
        self.created: list[str] = []
        """The tasks that calls were answered with."""
        self.polls = 0

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=CreatedTask, resolve=self._resolve)]

    async def _resolve(self, created: CreatedTask, context: ClaimContext) -> types.CallToolResult:
        self.created.append(created.task_id)
        return await self.follow(context.session, created.task_id)

    async def follow(self, session: ClientSession, task_id: str) -> types.CallToolResult:
        """Poll a task to its end, and return its result. Raises MCPError where it ended by one."""
        answered: set[str] = set()
        async with asyncio.timeout(60):
            while True:
                if self._between is not None:
                    await self._between()
                seen = await session.send_request(GetTask(params={"taskId": task_id}), DetailedTask)
                self.polls += 1
                if seen.result is not None:
                    return types.CallToolResult.model_validate(seen.result, by_name=False)
                if seen.error is not None:
                    raise MCPError(**seen.error)
                asked = {key: each for key, each in (seen.input_requests or {}).items() if key not in answered}
                if asked:
                    answered |= set(asked)
                    responses = {key: self._answer(request) for key, request in asked.items()}
                    params = {"taskId": task_id, "inputResponses": responses}
                    await session.send_request(UpdateTask(params=params), types.Result)
                await asyncio.sleep(0.05)  # a test polls oftener than it is asked to
