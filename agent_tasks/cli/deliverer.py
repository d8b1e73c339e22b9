"""`agent-tasks deliverer`: send webhooks."""

from typing import Annotated

import typer

from agent_tasks.authoring.loading import import_from_current_folder
from agent_tasks.cli.gateway import Loglevel
from agent_tasks.cli.problems import ExitCode, Failed, Problem
from agent_tasks.settings import Settings

_EXTRA = ("anyio", "h11", "httpcore2", "httpx2", "standardwebhooks")
_MISSING = "The deliverer is not installed: pip install 'agent-tasks[http]'."


def deliverer(
    loglevel: Annotated[
        Loglevel, typer.Option("--loglevel", "-l", metavar="LEVEL", case_sensitive=False, help="The level of the log.")
    ] = Loglevel.INFO,
) -> None:
    """Send webhooks. Any number of deliverers serve one deployment.

    On SIGTERM and Ctrl-C, what is being sent has 5 seconds to end; it is sent again where it does not.
    """
    from agent_tasks.doorbell.team_app import team_app

    import_from_current_folder()
    settings = Settings.load()
    team_app(settings)
    try:
        from agent_tasks.webhooks.process import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", _MISSING)) from None
    serve(settings, loglevel=loglevel.value)
