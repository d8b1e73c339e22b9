"""`agent-tasks mcp`: serve one host of the Model Context Protocol, which has started this."""

import logging
from typing import Annotated

import typer

from agent_tasks.authoring.loading import import_from_current_folder
from agent_tasks.cli.gateway import Loglevel
from agent_tasks.cli.problems import ExitCode, Failed, Problem
from agent_tasks.settings import Settings

_EXTRA = ("fastapi", "httpx2", "joserfc", "mcp", "starlette")
_MISSING = "MCP is not installed: pip install 'agent-tasks[mcp]'."
_HOW = "Say --stdio: a host starts this and speaks to it over a pipe. Over HTTP, `agent-tasks gateway` serves /mcp."


def mcp(
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak over stdin and stdout.")] = False,
    loglevel: Annotated[
        Loglevel, typer.Option("--loglevel", "-l", metavar="LEVEL", case_sensitive=False, help="The level of the log.")
    ] = Loglevel.WARNING,
) -> None:
    """Serve agents as tools to one host of the Model Context Protocol, over stdin and stdout.

    It acts as whoever AGENT_TASKS_MCP_KEY, an API key, stands for; without one as a trusted program. The log goes to
    stderr.
    """
    if not stdio:
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", _HOW))
    from agent_tasks.doorbell.team_app import team_app

    import_from_current_folder()
    settings = Settings.load()
    team_app(settings)
    try:
        from agent_tasks.gateway.mcp.stdio import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", _MISSING)) from None
    logging.basicConfig(level=loglevel.value)
    serve(settings)
