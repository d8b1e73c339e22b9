"""Running a bulk operation at a terminal: its progress, its end, and Ctrl-C, which stops it."""

import sys
from typing import Any

import typer

from agent_tasks.cli.deployment import deployment
from agent_tasks.client.bulk import Bulk, BulkOperation
from agent_tasks.store.errors import Transient
from agent_tasks.task.identity import Identity
from agent_tasks.task.task_filter import TaskFilter

_DONE = {
    "cancel": "cancelled",
    "resume": "resumed",
    "signal": "signalled",
    "acknowledge": "acknowledged",
    "purge": "purged",
    "prioritise": "prioritised",
    "move": "moved",
}


def run(
    operation: BulkOperation,
    wanted: TaskFilter,
    *,
    dry_run: bool,
    limit: int | None,
    all: bool,
    identity: Identity | None,
    idempotency_key: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Do it, or count what it would do, and print what became of it. Raises what `AgentTasks.bulk` raises."""
    latest: list[Bulk] = []
    is_shown = sys.stderr.isatty() and not as_json

    def progress(bulk: Bulk) -> None:
        latest[:] = [bulk]
        if is_shown:
            print(f"\r{summary(bulk)} …", end="\x1b[K", file=sys.stderr, flush=True)

    with deployment() as client:
        try:
            bulk = client.bulk(
                operation, wanted, dry_run=dry_run, limit=limit, all=all, progress=progress, identity=identity,
                idempotency_key=idempotency_key, **options,
            )  # fmt: skip
        except KeyboardInterrupt:
            if latest and latest[0].id is not None:
                stopped = client.stop_bulk(latest[0].id, identity=identity)
                print(f"\n{summary(stopped)}. It is {stopped.status}.", file=sys.stderr)
            raise
        except Transient:
            if latest and latest[0].id is not None:
                far = f"{summary(latest[0])} so far"
                print(f"\n{far}; a sweep does the rest: agent-tasks bulk show {latest[0].id}", file=sys.stderr)
            raise
        finally:
            if is_shown and latest:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    show(bulk, as_json=as_json)


def show(bulk: Bulk, *, as_json: bool) -> None:
    """Print how far an operation has come."""
    if as_json:
        typer.echo(bulk.model_dump_json())
        return
    end = {"dry_run": "Nothing was changed.", "running": "It goes on.", "stopped": "It was stopped."}
    typer.echo(f"{summary(bulk)}. {end.get(bulk.status, '')}".rstrip())
    for problem in bulk.problems:
        from agent_tasks.cli.text import printable

        typer.echo(f"  {printable(problem.message)}")
    if (more := bulk.failed - sum(problem.task_id is not None for problem in bulk.problems)) > 0:
        typer.echo(f"  and {more:,} more")
    if bulk.id is not None:
        typer.secho(f"  {bulk.operation} {bulk.status}, id {bulk.id}", dim=True)


def summary(bulk: Bulk) -> str:
    """Return the counts in words."""
    would = "would be " if bulk.status == "dry_run" else ""
    parts = [f"{bulk.matched:,} matched", f"{bulk.done:,} {would}{_DONE[bulk.operation]}"]
    if bulk.passed_over:
        parts.append(f"{bulk.passed_over:,} passed over")
    if bulk.failed:
        parts.append(f"{bulk.failed:,} could not be")
    return ", ".join(parts)
