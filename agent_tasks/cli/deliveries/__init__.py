"""`agent-tasks deliveries`: what was sent to endpoints, or is still to be."""

import typer

from agent_tasks.cli.command import Command
from agent_tasks.cli.deliveries.listing import listing
from agent_tasks.cli.deliveries.replay import replay
from agent_tasks.cli.deliveries.show import show

_SEE = "Exit codes: see agent-tasks --help."

deliveries = typer.Typer(
    no_args_is_help=True,
    help="List what was sent to endpoints, or is still to be, and send it once more.",
    epilog=_SEE,
)
for name, function in (("list", listing), ("show", show), ("replay", replay)):
    deliveries.command(name, cls=Command, epilog=_SEE)(function)
