"""`agent-tasks purge`: delete a task, or what is kept of a person or a tenant."""

import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson
from agent_tasks.client.purging import PurgeReport


def purge(
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The task's id, or the beginning of it.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="All of this person or service.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Their tenant; alone: all of this tenant.")] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel first what has not ended.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a task with all below it, or what is kept of a person or a tenant, now. The audit stays."""
    with deployment() as client:
        task = None if id is None else find_task(client, id, None).id
        report = client.purge(task, subject=subject, tenant=tenant, cancel=cancel, dry_run=dry_run)
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        _print(report)
    if subject is not None and not tenant and not report.tables and not report.kept:
        print(f"Nothing is kept of {subject} of no tenant. Of which are they? --tenant NAME", file=sys.stderr)


def _print(report: PurgeReport) -> None:
    gone = "would be deleted" if report.dry_run else "deleted"
    tasks = "1 task" if report.tasks == 1 else f"{report.tasks:,} tasks"
    cancelled = f", {report.cancelled:,} of them cancelled first" if report.cancelled else ""
    typer.echo(f"{tasks} {gone}{cancelled}")
    for table, rows in report.tables.items():
        typer.echo(f"  {table:<24} {rows:>10,}")
    for tree in report.kept:
        typer.echo(f"{tree.task_id} stays: {tree.why}")
