"""/mcp: each message is read and admitted, and then handed to the SDK's transport, which speaks every revision."""

import asyncio
import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from agent_tasks.gateway import problems
from agent_tasks.gateway.direct import Direct
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.mcp.metadata import PATH, WELL_KNOWN, resource_metadata
from agent_tasks.gateway.refusals import Refused

if TYPE_CHECKING:
    from agent_tasks.gateway.mcp.transport import Transport

log = logging.getLogger(__name__)


class McpDoor:
    """An ASGI app. The SDK is loaded, and its transport begun, with the first message: few gateways are asked by it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._transport: Transport | None = None
        self._starting = asyncio.Lock()

    @property
    def routes(self) -> list[Direct]:
        """The paths that it serves."""

        async def metadata(request: Request) -> Response:
            return JSONResponse(resource_metadata(self._gate.settings), headers={"Cache-Control": "max-age=3600"})

        named = [WELL_KNOWN, f"{WELL_KNOWN}{PATH}"]
        return [
            # there are no sessions to listen to by GET, nor to end by DELETE
            Direct(PATH, self, methods=["POST"], name="mcp", include_in_schema=False),
            *(Direct(p, metadata, methods=["GET"], name="mcp_metadata", include_in_schema=False) for p in named),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if find_spec("mcp") is None:
            answer: Response = problems.of_refusal(
                Refused(
                    501,
                    "not_installed",
                    "Not installed",
                    "This gateway does not speak MCP: it has not what that takes. pip install 'agent-tasks[mcp]'",
                )
            )
            await answer(scope, receive, send)
            return
        async with self._starting:
            if self._transport is None:
                self._transport = await self._gate.in_thread(_loaded)
                await self._transport.start()
        await self._transport(scope, receive, send)

    async def close(self) -> None:
        """End the transport."""
        if self._transport is not None:
            await self._transport.close()


def _loaded(gate: Gate) -> "Transport":
    from agent_tasks.gateway.mcp.transport import Transport

    return Transport(gate)
