"""`agent-tasks alerts`: rules that say when a person is to look."""

import typer

from agent_tasks.cli.alerts.listing import listing
from agent_tasks.cli.alerts.put import put
from agent_tasks.cli.alerts.remove import remove
from agent_tasks.cli.command import Command

_SEE = "Exit codes: see agent-tasks --help."

alerts = typer.Typer(
    no_args_is_help=True,
    help="Have webhooks and the log told where something stands still.",
    epilog=_SEE,
)
for name, function in (("set", put), ("list", listing), ("remove", remove)):
    alerts.command(name, cls=Command, epilog=_SEE)(function)
