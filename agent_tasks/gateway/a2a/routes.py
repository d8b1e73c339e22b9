"""The paths of A2A. Its SDK is loaded with the first request to one of them, where it is installed."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from agent_tasks.gateway.direct import Direct
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.refusals import Refused

if TYPE_CHECKING:
    from agent_tasks.gateway.a2a.protocol import Protocol

CARD = "/.well-known/agent-card.json"
_EXTRA = ("a2a", "google", "jsonrpc", "packaging", "sse_starlette")


class A2A:
    """The doors of A2A of one gateway."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._loaded: Protocol | None = None

    @property
    def routes(self) -> list[Direct]:
        """The routes, by the names that metrics know them by."""
        return [
            Direct("/a2a", self._rpc, methods=["POST"], name="a2a", include_in_schema=False),
            Direct("/a2a/v1/{path:path}", self._rest, methods=_METHODS, name="a2a_rest", include_in_schema=False),
            Direct(CARD, self._card, methods=["GET"], name="a2a_card", include_in_schema=False),
        ]

    async def _rpc(self, request: Request) -> Response:
        return await (await self._protocol()).rpc(request)

    async def _rest(self, request: Request) -> Response:
        return await (await self._protocol()).rest(request)

    async def _card(self, request: Request) -> Response:
        return await (await self._protocol()).card(request)

    async def _protocol(self) -> "Protocol":
        """What serves the paths. Raises Refused (501) where the extra is not installed."""
        if self._loaded is None:
            self._loaded = await self._gate.in_thread(_load)
        return self._loaded


_METHODS = ["GET", "POST", "DELETE"]


def _load(gate: Gate) -> "Protocol":
    try:
        from agent_tasks.gateway.a2a.protocol import Protocol
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise Refused(
            501,
            "not_installed",
            "A2A is not installed",
            "This gateway has no A2A: install it with pip install 'agent-tasks[a2a]', and restart it.",
        ) from None
    return Protocol(gate)
