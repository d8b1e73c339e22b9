"""`agent-tasks pause-schedule`, `unpause-schedule` and `trigger`: levers of one schedule."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, identity_of
from agent_tasks.client.schedules import Schedule

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name; see agent-tasks schedules.")]
Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Which tenant's is meant; with --as, their tenant.")
]


def pause_schedule(
    name: Name,
    reason: Annotated[str | None, typer.Option(help="The reason, kept with the schedule.")] = None,
    tenant: Tenant = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Let a schedule submit nothing until it is unpaused. Tasks it has submitted go on."""
    identity = identity_of(as_subject, tenant or "" if as_subject else "", scope)
    with deployment() as client:
        _print(client.pause_schedule(name, reason=reason, tenant=tenant, identity=identity), as_json=as_json)


def unpause_schedule(
    name: Name, tenant: Tenant = None, as_subject: AsSubject = None, scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Let a schedule submit again; missed times are made up for as its --catch-up says."""
    identity = identity_of(as_subject, tenant or "" if as_subject else "", scope)
    with deployment() as client:
        _print(client.unpause_schedule(name, tenant=tenant, identity=identity), as_json=as_json)


def trigger(
    name: Name, tenant: Tenant = None, as_subject: AsSubject = None, scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Submit a schedule's task now, also while it is paused, and print its id."""
    identity = identity_of(as_subject, tenant or "" if as_subject else "", scope)
    with deployment() as client:
        task = client.trigger_schedule(name, tenant=tenant, identity=identity)
        typer.echo(task.snapshot().model_dump_json(indent=2) if as_json else str(task.id))


def _print(schedule: Schedule, *, as_json: bool) -> None:
    if as_json:
        typer.echo(schedule.model_dump_json(indent=2))
        return
    from agent_tasks.cli.schedules import next_time, pause

    typer.echo(f"{schedule.name} is {pause(schedule) or f'not paused, next {next_time(schedule)}'}")
