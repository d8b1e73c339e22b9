"""`agent-tasks console`: serve the console alone."""

from typing import Annotated

import typer

from agent_tasks.cli.gateway import Host, Loglevel, OfLog, Port, serve_at


def console(
    host: Host = "127.0.0.1",
    port: Port = 8001,
    loglevel: OfLog = Loglevel.INFO,
    root_path: Annotated[
        str, typer.Option(metavar="PATH", help="The path below which a proxy serves this console.")
    ] = "",
) -> None:
    """Serve the console alone, at /console: what a gateway serves to people, and nothing to programs.

    People sign in with an API key (`agent-tasks keys create`); with AGENT_TASKS_GATEWAY_AUTH=off those on this machine
    need none.
    """
    serve_at(host, port, loglevel, root_path, only_console=True)
