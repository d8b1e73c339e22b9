"""The command line's application: its commands, in the order in which the help shows them."""

from typing import Annotated

import typer

from agent_tasks.cli.alerts import alerts
from agent_tasks.cli.audit import audit
from agent_tasks.cli.bulk import bulk
from agent_tasks.cli.cancel import cancel
from agent_tasks.cli.check import check
from agent_tasks.cli.command import Command
from agent_tasks.cli.console import console
from agent_tasks.cli.deliverer import deliverer
from agent_tasks.cli.deliveries import deliveries
from agent_tasks.cli.demo import demo
from agent_tasks.cli.dev import dev
from agent_tasks.cli.doctor import doctor
from agent_tasks.cli.events import events
from agent_tasks.cli.export import export
from agent_tasks.cli.feed import feed
from agent_tasks.cli.gateway import gateway
from agent_tasks.cli.hook import hook
from agent_tasks.cli.keys import keys
from agent_tasks.cli.logs import logs
from agent_tasks.cli.ls import ls
from agent_tasks.cli.mcp import mcp
from agent_tasks.cli.migrate import migrate
from agent_tasks.cli.pause import pause
from agent_tasks.cli.pauses import pauses
from agent_tasks.cli.processes import beat, flower, sweeper, worker
from agent_tasks.cli.ps import ps
from agent_tasks.cli.purge import purge
from agent_tasks.cli.resume import resume
from agent_tasks.cli.schedule import schedule
from agent_tasks.cli.schedule_levers import pause_schedule, trigger, unpause_schedule
from agent_tasks.cli.schedules import schedules
from agent_tasks.cli.signal import signal
from agent_tasks.cli.spend import spend
from agent_tasks.cli.status import status
from agent_tasks.cli.submit import submit
from agent_tasks.cli.tree import tree
from agent_tasks.cli.unpause import unpause
from agent_tasks.cli.unschedule import unschedule
from agent_tasks.cli.watch import watch
from agent_tasks.cli.webhooks import webhooks

EPILOG = (
    "Exit codes: 0 success · 1 the task failed, timed out, was cancelled or ended as partial, or check or doctor found "
    "a problem · 2 wrong usage or invalid input · 3 a server cannot be reached · 4 no such task, schedule, key, "
    "endpoint, delivery or alert · 124 --timeout is over."
)

app = typer.Typer(
    help="Durable agent tasks on Celery and Postgres.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_SEE = "Exit codes: see agent-tasks --help."
_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}

for panel, commands in {
    "On this machine": (demo, dev),
    "Tasks": (submit, status, watch, events, logs, signal, hook, cancel, resume, tree, ps, ls, export),
    "Levers": (pause, unpause, pauses),
    "Schedules": (schedule, schedules, pause_schedule, unpause_schedule, trigger, unschedule),
    "A deployment": (migrate, check, doctor, audit, spend, purge),
}.items():
    for function in commands:
        app.command(cls=Command, rich_help_panel=panel, epilog=_SEE)(function)
app.add_typer(bulk, name="bulk", rich_help_panel="Tasks")
app.add_typer(keys, name="keys", rich_help_panel="A deployment")
app.add_typer(alerts, name="alerts", rich_help_panel="A deployment")
app.add_typer(webhooks, name="webhooks", rich_help_panel="Webhooks")
app.add_typer(deliveries, name="deliveries", rich_help_panel="Webhooks")
app.command(cls=Command, rich_help_panel="Webhooks", epilog=_SEE)(feed)
for function in (gateway, console, deliverer, mcp):
    app.command(cls=Command, rich_help_panel="Processes", epilog=_SEE)(function)
for function in (worker, sweeper, beat, flower):
    app.command(cls=Command, rich_help_panel="Processes", context_settings=_PASSED_ON)(function)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"agent-tasks {version('agent-tasks')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Durable agent tasks on Celery and Postgres."""
