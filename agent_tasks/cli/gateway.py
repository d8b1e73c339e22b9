"""`agent-tasks gateway`: serve tasks over HTTP."""

import os
import socket
from enum import StrEnum
from typing import Annotated

import typer

from agent_tasks.authoring.loading import import_from_current_folder
from agent_tasks.cli.problems import ExitCode, Failed, Problem
from agent_tasks.settings import Settings

_EXTRA = ("fastapi", "httpx2", "jinja2", "joserfc", "starlette", "uvicorn")
_MISSING = "The gateway is not installed: pip install 'agent-tasks[http]'."


class Loglevel(StrEnum):
    """Levels of the log."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


Host = Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on; 0.0.0.0: all.")]
Port = Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="The port to listen on; 0: a free one.")]
OfLog = Annotated[
    Loglevel, typer.Option("--loglevel", "-l", metavar="LEVEL", case_sensitive=False, help="The level of the log.")
]


def gateway(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    loglevel: OfLog = Loglevel.INFO,
    root_path: Annotated[
        str, typer.Option(metavar="PATH", help="The path below which a proxy serves this gateway.")
    ] = "",
) -> None:
    """Serve tasks over HTTP. Any number of gateways serve one deployment.

    Callers send an API key (`agent-tasks keys create`) or a token of your issuer; with AGENT_TASKS_GATEWAY_AUTH=off
    programs on this machine need none. On SIGTERM and Ctrl-C, requests have 10 seconds to end.
    """
    serve_at(host, port, loglevel, root_path)


def serve_at(host: str, port: int, loglevel: Loglevel, root_path: str, *, only_console: bool = False) -> None:
    """Serve at an address until SIGTERM or SIGINT. Raises Failed where that cannot be."""
    from agent_tasks.doorbell.team_app import team_app

    import_from_current_folder()
    settings = Settings.load()
    team_app(settings)
    try:
        from agent_tasks.gateway.loopback import is_loopback
        from agent_tasks.gateway.server import listen, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise _failed(_MISSING) from None
    if settings.gateway_auth == "off" and not is_loopback(host):
        raise _failed(
            f"AGENT_TASKS_GATEWAY_AUTH=off serves this machine only, and others may reach {host or 'all addresses'}. "
            "Listen on 127.0.0.1, or switch authentication on and make keys with `agent-tasks keys create`."
        )
    try:
        sockets = listen(host, port)
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise _failed(f"Cannot listen on {host} port {port}: {why}. Name another one with --host or --port.") from None
    serve(settings, sockets, loglevel=loglevel.value, root_path=root_path, only_console=only_console)


def _failed(message: str) -> Failed:
    return Failed(Problem(ExitCode.USAGE, "invalid_input", message))
