"""`agent-tasks bulk`: one operation on all tasks of a filter."""

import typer

from agent_tasks.cli.bulk.listing import listing
from agent_tasks.cli.bulk.show import show
from agent_tasks.cli.bulk.stop import stop
from agent_tasks.cli.bulk.verbs import acknowledge, cancel, move, prioritise, purge, resume, signal
from agent_tasks.cli.command import Command

_SEE = "Exit codes: see agent-tasks --help."

bulk = typer.Typer(no_args_is_help=True, help="Do one thing to all tasks of a filter.", epilog=_SEE)
for function in (cancel, resume, signal, acknowledge, purge, prioritise, move):
    bulk.command(cls=Command, rich_help_panel="To the tasks", epilog=_SEE)(function)
for name, function in (("list", listing), ("show", show), ("stop", stop)):
    bulk.command(name, cls=Command, rich_help_panel="To an operation", epilog=_SEE)(function)
