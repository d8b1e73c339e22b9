"""`agent-tasks deliveries list`: what was sent where, and what came of it."""

import sys
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsScopes, AsSubject
from agent_tasks.cli.webhooks.options import Asker, Tenant
from agent_tasks.client.delivery import Delivery, DeliveryStatus

_STATUS, _TYPE = 9, 18


def listing(
    webhook: Annotated[str | None, typer.Option(metavar="NAME", help="Only those to this endpoint.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only those in this state: pending, delivered, failed, dropped.")
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this task.")] = None,
    type: Annotated[str | None, typer.Option(help="Only those of this type of event, as task.failed.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most to list.")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on below there: what the list before has printed.")
    ] = None,
    tenant: Tenant = None,
    as_subject: AsSubject = None,
    scope: AsScopes = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each, one a line.")] = False,
) -> None:
    """List deliveries, the newest first."""
    asker = Asker.of(as_subject, tenant, scope)
    given: DeliveryStatus | None = status  # pyright: ignore[reportAssignmentType]  # the client checks it
    with deployment() as client:
        page = client.webhooks.deliveries(
            webhook=webhook,
            status=given,
            task_id=find_task(client, task, asker.identity).id if task is not None else None,
            type=type,
            tenant=asker.tenant,
            limit=limit,
            after=after,
            identity=asker.identity,
        )
    for delivery in page.deliveries:
        typer.echo(delivery.model_dump_json() if as_json else _line(delivery))
    if not page.deliveries and not as_json:
        typer.echo("No such deliveries.")
    if page.next is not None:
        print(f"There may be more: --after {page.next}", file=sys.stderr)


def _line(delivery: Delivery) -> str:
    from agent_tasks.cli.lines import padded
    from agent_tasks.cli.text import clock

    parts = (
        str(delivery.id),
        padded(delivery.status, _STATUS),
        clock(delivery.last_at or delivery.created_at),
        padded(delivery.type, _TYPE),
        target(delivery),
        outcome(delivery),
    )
    return "  ".join(part for part in parts if part).rstrip()


def target(delivery: Delivery) -> str:
    """Return where it goes: the endpoint's name, or the URL of a callback."""
    from agent_tasks.cli.text import printable

    return printable(delivery.webhook or delivery.url or "an endpoint that was removed")


def outcome(delivery: Delivery) -> str:
    """Return what came of it so far, and when it is sent next."""
    from agent_tasks.cli.text import duration, printable, since

    if delivery.attempt == 0:
        parts = ["not yet sent"] if delivery.status == "pending" else []
    else:
        times = "once" if delivery.attempt == 1 else f"{delivery.attempt} times"
        answer = f"answered {delivery.answer}" if delivery.answer else ""
        parts = [f"sent {times}", printable(delivery.error or answer)]
    if delivery.status == "pending":
        due = delivery.due_at
        left = -since(due) if due is not None else 0.0
        parts.append("waits for an earlier one of its task" if due is None else f"next in {duration(max(0.0, left))}")
    return ", ".join(part for part in parts if part)
