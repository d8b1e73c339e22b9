"""AgentCore: the app behind all paths that the gateway's own routes do not know, where a runtime's agent is set."""

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agent_tasks.client.sessions import runtime_of
from agent_tasks.gateway.agentcore.invocations import Invocations
from agent_tasks.gateway.agentcore.ping import PingReader
from agent_tasks.gateway.gate import Gate


class AgentCore:
    """An ASGI app with `/ping` and `/invocations`; all else is answered as an app with no more than these answers it:
    other paths and methods in plain text, and a websocket's handshake with 403."""

    def __init__(self, gate: Gate) -> None:
        runtime = runtime_of(gate.settings)
        self._ping = PingReader(gate.client.database, runtime)
        self._app = Starlette(
            routes=[
                Route("/invocations", Invocations(gate, runtime, self._ping).answer, methods=["POST"], name="invoke"),
                Route("/ping", self._ping.answer, methods=["GET"], name="ping"),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _is_handshake(scope):
            refusal = PlainTextResponse(status_code=403, headers={"Connection": "close"})
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def close(self) -> None:
        """Close what was opened."""
        self._ping.close()


def _is_handshake(scope: Scope) -> bool:
    """Whether a request would open a websocket, which the connection does not know of."""
    return scope["method"] == "GET" and Headers(scope=scope).get("upgrade", "").lower() == "websocket"
