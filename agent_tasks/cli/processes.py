"""`agent-tasks worker`, `sweeper`, `beat`, `flower`: our Celery processes, from whatever folder they are started."""

import logging
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from agent_tasks.authoring.loading import import_from_current_folder
from agent_tasks.cli.problems import ExitCode, Failed, Problem
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings

Loglevel = Annotated[str, typer.Option("--loglevel", "-l", help="The level of the log.")]
Name = Annotated[str, typer.Option("--name", "-n", help="The name of the Celery node; %h stands for the host.")]


def worker(
    context: typer.Context,
    pool: Annotated[str, typer.Option("--pool", "-P", help="threads or prefork.")] = "threads",
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Plain steps to run at once.")] = 16,
    queues: Annotated[str | None, typer.Option("--queues", "-Q", help="Only these queues, comma-separated.")] = None,
    name: Name = "worker@%h",
    loglevel: Loglevel = "INFO",
) -> None:
    """Run steps. Other options go to Celery, as with `celery -A agent_tasks.engine worker`."""
    argv = ["worker", "-n", name, "--pool", pool, "--concurrency", str(concurrency), "--loglevel", loglevel]
    _run("agent_tasks.engine", [*argv, *(["--queues", queues] if queues else []), *context.args])


def sweeper(
    context: typer.Context,
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Sweeps to run at once.")] = 2,
    name: Name = "sweeper@%h",
    clock: Annotated[
        bool, typer.Option("--clock", help="Sweep by a clock of its own: no beat is needed, and no Celery.")
    ] = False,
    loglevel: Loglevel = "INFO",
) -> None:
    """Run the sweeps. Other options go to Celery, as with `celery -A agent_tasks.sweeps worker`."""
    if clock:
        _sweep_by_clock(context, loglevel)
        return
    argv = ["worker", "-n", name, "--pool", "threads", "--concurrency", str(concurrency), "--loglevel", loglevel]
    _run("agent_tasks.sweeps", [*argv, *context.args])


def beat(context: typer.Context, loglevel: Loglevel = "INFO") -> None:
    """Run the clock that starts the sweeps. Other options go to Celery, as with `celery -A agent_tasks.sweeps beat`."""
    _run("agent_tasks.sweeps", ["beat", "--loglevel", loglevel, *context.args])


def flower(context: typer.Context) -> None:
    """Show workers and steps in a browser. Other options go to Flower."""
    if find_spec("flower") is None:
        missing = "Flower is not installed: pip install 'agent-tasks[flower]'."
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", missing))
    from agent_tasks.cli.flower_link import link_to

    import_from_current_folder()
    app = import_module("agent_tasks.engine").app
    link_to(f"{Settings().public_url}/console")
    _start(app, ["flower", *context.args])


def _sweep_by_clock(context: typer.Context, loglevel: str) -> None:
    if context.args:
        raise InvalidInput(f"{context.args[0]} is for Celery, which sweeper --clock does without. Leave it out.")
    if loglevel.upper() not in logging.getLevelNamesMapping():
        raise InvalidInput(f"--loglevel {loglevel} is no level of the log: DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    import_from_current_folder()
    settings = Settings.load()
    from agent_tasks.sweeps.clocked import serve

    serve(settings, loglevel=loglevel.upper())


def _run(package: str, argv: list[str]) -> None:
    """Run Celery's own command line, with our app in the place of what -A would find."""
    import_from_current_folder()
    _start(import_module(package).app, argv)  # before Celery, so that an error in it is reported as ours


def _start(app: Any, argv: list[str]) -> None:
    from celery.bin.celery import celery

    celery.params[0].default = app
    celery.main(args=["--quiet", *argv], prog_name="agent-tasks")  # without its banner
