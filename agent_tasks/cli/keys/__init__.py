"""`agent-tasks keys`: API keys of the gateway."""

import typer

from agent_tasks.cli.command import Command
from agent_tasks.cli.keys.create import create
from agent_tasks.cli.keys.listing import listing
from agent_tasks.cli.keys.revoke import revoke

_SEE = "Exit codes: see agent-tasks --help."

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API keys of the gateway.", epilog=_SEE)
for name, function in (("create", create), ("list", listing), ("revoke", revoke)):
    keys.command(name, cls=Command, epilog=_SEE)(function)
