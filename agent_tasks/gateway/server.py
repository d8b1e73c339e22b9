"""The process of a gateway: uvicorn, and an end that readers of streams notice at once."""

import errno
import logging
import os
import signal
import socket
from types import FrameType

import uvicorn

from agent_tasks import logs
from agent_tasks.authoring.loading import load_agents, why_not_loaded
from agent_tasks.client.client import AgentTasks
from agent_tasks.gateway import open_files
from agent_tasks.gateway.application import create_app
from agent_tasks.gateway.connection import Connection
from agent_tasks.gateway.gate import Gate
from agent_tasks.settings import Settings
from agent_tasks.tracing.provider import provide

log = logging.getLogger(__name__)
_LOG = "[%(asctime)s: %(levelname)s] %(message)s"
_BACKLOG = 2048
_LEAVE_SECONDS = 10
"""How long requests may go on when the gateway goes."""


class _Server(uvicorn.Server):
    """Ends the streams when it is told to stop: their readers go on at another gateway, or at the next one here."""

    def __init__(self, config: uvicorn.Config, gate: Gate) -> None:
        super().__init__(config)
        self._gate = gate

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = (sockets or [])[0].getsockname()[:2]
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            log.info("gateway running on %s auth=%s pid=%d", url, self._gate.settings.gateway_auth, os.getpid())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Go, in order, with exit code 0, as Celery's processes do: uvicorn's own would die of the signal at last."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
        self._gate.close_streams()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("gateway ends: requests=%d", len(self.server_state.tasks))
        await super().shutdown(sockets)


def listen(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of the host, all of them on one port. Raises OSError."""
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        try:
            sockets.append(socket.create_server((address[0], port, *address[2:]), family=family, backlog=_BACKLOG))
            # connections inherit it; asyncio sets it only where the protocol of a socket is named, which it is not here
            sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            absent = error  # of `localhost` one of two addresses may be none of this machine's
        else:
            port = sockets[0].getsockname()[1]  # where any would do, the same one for the others
    if absent and not sockets:
        raise absent
    return sockets


def serve(
    settings: Settings, sockets: list[socket.socket], *, loglevel: str, root_path: str, only_console: bool = False
) -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=loglevel, format=_LOG)
    open_files.allow_many()
    logs.set_up(settings.log_format)
    provide("agent-tasks-gateway", is_on=settings.traces)
    for name in (
        "uvicorn.error",
        "httpx2",
        "alembic",
        "mcp",
    ):  # of each start, end and fetch we say in one line what matters
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    for name, error in load_agents(settings.agents, settings.bundled).items():
        log.warning("agents left out, %s does not load: %s", name, why_not_loaded(name, error))
    app = create_app(AgentTasks(settings), only_console=only_console)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        root_path=root_path,
        server_header=False,
        backlog=_BACKLOG,
        http=Connection,
        timeout_graceful_shutdown=_LEAVE_SECONDS,
    )
    _Server(config, app.state.gate).run(sockets)
