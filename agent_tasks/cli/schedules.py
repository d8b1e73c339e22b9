"""`agent-tasks schedules`: the tasks that are submitted again and again."""

import json
from zoneinfo import ZoneInfo

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, identity_of
from agent_tasks.client.schedules import Schedule

_NAME, _AGENT = 30, 24


def schedules(
    as_subject: AsSubject = None, tenant: AsTenant = "", scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """List the schedules: how often, when next, and the last task."""
    from agent_tasks.cli.lines import padded

    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        found = client.schedules(identity=identity)
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in found], ensure_ascii=False, indent=2))
    elif not found:
        typer.echo("No schedules.")
    else:
        typer.echo(f"{padded('NAME', _NAME)}  {padded('AGENT', _AGENT)}  NEXT")
        for each in found:
            _print(each)


def rhythm(schedule: Schedule) -> str:
    """Return the rhythm in words: every 5 min, or by cron 0 3 * * * Europe/Berlin."""
    from agent_tasks.cli.text import duration

    if schedule.every_seconds is not None:
        return f"every {duration(schedule.every_seconds)}"
    return f"by cron {schedule.cron} {schedule.timezone}"


def next_time(schedule: Schedule) -> str:
    """Return how far off the next time is, and the time itself in the schedule's own time zone."""
    from agent_tasks.cli.text import duration, since

    left = -since(schedule.next_at)
    when = f"{schedule.next_at.astimezone(ZoneInfo(schedule.timezone)):%Y-%m-%d %H:%M:%S %Z}"
    return f"in {duration(left)}, {when}" if left > 0 else f"due, {when}"


def pause(schedule: Schedule) -> str:
    """Return since when it is paused, by whom and why; empty where it is not."""
    from agent_tasks.cli.text import duration, printable, since

    if schedule.paused_at is None:
        return ""
    why = f": {printable(schedule.paused_reason)}" if schedule.paused_reason else ""
    return f"paused {duration(since(schedule.paused_at))} ago by {printable(schedule.paused_by or '')}{why}"


def missed(schedule: Schedule) -> str:
    """Return what becomes of missed times, where it is not the default."""
    return "" if schedule.catch_up == "one" else f"catches up {schedule.catch_up}"


def _print(schedule: Schedule) -> None:
    from agent_tasks.cli.lines import packed, padded, terminal_width
    from agent_tasks.cli.text import duration, since

    first, when = next_time(schedule).split(", ", 1)
    first = "paused" if schedule.paused_at else first
    last = f"last {duration(since(schedule.last_at))} ago" if schedule.last_at else "not yet submitted"
    task = f"task {schedule.last_task_id}" if schedule.last_task_id else ""
    typer.echo(f"{padded(schedule.name, _NAME)}  {padded(schedule.agent, _AGENT)}  {first}")
    for line in packed([rhythm(schedule), when, last, task, pause(schedule), missed(schedule)], terminal_width()):
        typer.secho(line, dim=True)
