"""`agent-tasks webhooks`: the endpoints that are told what becomes of tasks."""

import typer

from agent_tasks.cli.command import Command
from agent_tasks.cli.webhooks.callback_secret import callback_secret
from agent_tasks.cli.webhooks.listing import listing
from agent_tasks.cli.webhooks.ping import ping
from agent_tasks.cli.webhooks.put import put
from agent_tasks.cli.webhooks.remove import remove
from agent_tasks.cli.webhooks.rotate import rotate
from agent_tasks.cli.webhooks.show import show
from agent_tasks.cli.webhooks.switch import disable, enable

_SEE = "Exit codes: see agent-tasks --help."

webhooks = typer.Typer(
    no_args_is_help=True,
    help="Register endpoints that are told what becomes of tasks.",
    epilog=_SEE,
)
for name, function in (
    ("set", put),
    ("list", listing),
    ("show", show),
    ("rotate", rotate),
    ("enable", enable),
    ("disable", disable),
    ("ping", ping),
    ("remove", remove),
    ("callback-secret", callback_secret),
):
    webhooks.command(name, cls=Command, epilog=_SEE)(function)
