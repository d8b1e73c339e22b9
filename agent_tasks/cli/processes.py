"""`agent-tasks worker`, `sweeper`, `beat`, `flower`: our Celery processes, whatever folder they are called from."""

from typing import Annotated

import typer

from agent_tasks.cli.own_packages import load_own_packages

Loglevel = Annotated[str, typer.Option("--loglevel", "-l", help="Of the process's log.")]
Name = Annotated[str, typer.Option("--name", "-n", help="Of the Celery node; %h is the host's name.")]


def worker(
    context: typer.Context,
    pool: Annotated[str, typer.Option("--pool", "-P", help="threads or prefork.")] = "threads",
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Steps at once.")] = 16,
    queues: Annotated[str | None, typer.Option("--queues", "-Q", help="Only these, with commas.")] = None,
    name: Name = "worker@%h",
    loglevel: Loglevel = "INFO",
) -> None:
    """Run steps, as `celery -A workers worker` does. Further options are passed on to Celery."""
    argv = ["worker", "-n", name, "--pool", pool, "--concurrency", str(concurrency), "--loglevel", loglevel]
    _run("workers", [*argv, *(["--queues", queues] if queues else []), *context.args])


def sweeper(
    context: typer.Context,
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Sweeps at once.")] = 2,
    name: Name = "sweeper@%h",
    loglevel: Loglevel = "INFO",
) -> None:
    """Run the sweeps, as `celery -A beat worker` does. Further options are passed on to Celery."""
    argv = ["worker", "-n", name, "--pool", "threads", "--concurrency", str(concurrency), "--loglevel", loglevel]
    _run("beat", [*argv, *context.args])


def beat(context: typer.Context, loglevel: Loglevel = "INFO") -> None:
    """Tick the clock, as `celery -A beat beat` does. Further options are passed on to Celery."""
    _run("beat", ["beat", "--loglevel", loglevel, *context.args])


def flower(context: typer.Context) -> None:
    """Show the workers and steps in a browser, as `celery -A workers flower` does."""
    _run("workers", ["flower", *context.args])


def _run(package: str, argv: list[str]) -> None:
    """Celery's own command line, with our app in the place of what -A would find."""
    app = load_own_packages()[package].app  # before Celery, so that an error in it is told as ours

    from celery.bin.celery import celery

    celery.params[0].default = app
    celery.main(args=["--quiet", *argv], prog_name="agent-tasks")  # without its banner
