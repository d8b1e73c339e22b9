"""The process of a gateway: uvicorn, and an end that readers of streams notice at once."""

import logging
from types import FrameType

import uvicorn

from agent_tasks.client.client import AgentTasks
from agent_tasks.gateway.application import create_app
from agent_tasks.gateway.gate import Gate
from agent_tasks.settings import Settings

_LOG = "[%(asctime)s: %(levelname)s] %(message)s"
_HEAD_BYTES = 64 * 1024
"""Of the head of a request."""
_LEAVE_SECONDS = 10
"""How long requests may go on when the gateway goes."""


class _Server(uvicorn.Server):
    """Ends the streams when it is told to stop: their readers go on at another gateway, or at the next one here."""

    def __init__(self, config: uvicorn.Config, gate: Gate) -> None:
        super().__init__(config)
        self._gate = gate

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._gate.close_streams()


def serve(settings: Settings, *, host: str, port: int, loglevel: str, root_path: str) -> bool:
    """Serve until SIGTERM or SIGINT; False where the address cannot be listened on."""
    logging.basicConfig(level=loglevel.upper(), format=_LOG)
    app = create_app(AgentTasks(settings))
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        log_level=loglevel,
        access_log=False,
        root_path=root_path,
        server_header=False,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        timeout_graceful_shutdown=_LEAVE_SECONDS,
    )
    server = _Server(config, app.state.gate)
    server.run()
    return server.started
