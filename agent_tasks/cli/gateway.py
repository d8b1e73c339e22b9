"""`agent-tasks gateway`: serve tasks over HTTP."""

from ipaddress import ip_address
from typing import Annotated

import typer

from agent_tasks.authoring.loading import import_from_current_folder
from agent_tasks.cli.problems import ExitCode, Failed, Problem
from agent_tasks.settings import Settings

_MISSING = "The gateway is not installed: pip install 'agent-tasks[http]'."


def gateway(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0: a free one.")] = 8000,
    loglevel: Annotated[str, typer.Option("--loglevel", "-l", help="The level of the log.")] = "INFO",
    root_path: Annotated[str, typer.Option(help="The path below which a proxy serves this gateway.")] = "",
) -> None:
    """Serve tasks over HTTP. Any number of gateways serve one deployment; stop one with SIGTERM."""
    import_from_current_folder()
    settings = Settings.load()
    _check_auth(settings, host)
    try:
        from agent_tasks.gateway.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("fastapi", "joserfc", "httpx2", "uvicorn"):
            raise
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", _MISSING)) from None
    if not serve(settings, host=host, port=port, loglevel=loglevel.lower(), root_path=root_path):
        raise typer.Exit(ExitCode.USAGE)


def _check_auth(settings: Settings, host: str) -> None:
    """Without authentication everybody who reaches the gateway acts as a trusted program."""
    if settings.gateway_auth == "off" and not _is_loopback(host):
        raise Failed(
            Problem(
                ExitCode.USAGE,
                "invalid_input",
                f"AGENT_TASKS_GATEWAY_AUTH=off serves this machine only, and {host} is reached from others. Listen on "
                "127.0.0.1, or switch authentication on and make keys with `agent-tasks keys create`.",
            )
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
