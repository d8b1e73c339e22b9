"""`agent-tasks console`: serve the console alone."""

from typing import Annotated

import typer

from agent_tasks.cli.gateway import Loglevel, serve_at


def console(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on; 0.0.0.0: all.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="The port to listen on; 0: a free one.")
    ] = 8001,
    loglevel: Annotated[
        Loglevel, typer.Option("--loglevel", "-l", metavar="LEVEL", case_sensitive=False, help="The level of the log.")
    ] = Loglevel.INFO,
    root_path: Annotated[
        str, typer.Option(metavar="PATH", help="The path below which a proxy serves this console.")
    ] = "",
) -> None:
    """Serve the console alone, at /console: what a gateway serves to people, and nothing to programs.

    People sign in with an API key (`agent-tasks keys create`); with AGENT_TASKS_GATEWAY_AUTH=off those on this machine
    need none.
    """
    serve_at(host, port, loglevel, root_path, only_console=True)
