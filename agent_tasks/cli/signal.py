"""`agent-tasks signal`: send a task what it waits for."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, identity_of, read_json

if TYPE_CHECKING:
    from agent_tasks.client.signals import Receipt


def signal(
    id: TaskId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.")],
    payload: Annotated[
        str | None, typer.Argument(metavar="[JSON|@FILE|-]", help="What the step receives. - reads stdin.")
    ] = None,
    signal_id: Annotated[
        str | None,
        typer.Option("--signal-id", metavar="ID", help="Sending it again with the same id has no effect."),
    ] = None,
    wait_id: Annotated[
        str | None, typer.Option("--wait-id", metavar="ID", help="Only for this wait; `status --json` shows its id.")
    ] = None,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Send a signal to a task, which learns who sent it. A signal that comes early is kept."""
    given = read_json(payload, "payload")
    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        task = find_task(client, id, identity)
        receipt = task.signal(name, given, signal_id=signal_id, wait_id=wait_id)
    if as_json:
        typer.echo(receipt.model_dump_json(indent=2))
        return
    typer.echo(f"{task.id} {_described(receipt)}")
    if receipt.unserved is not None:
        typer.echo(f"Nobody will run its next step: {receipt.unserved.message} {receipt.unserved.action}")


def _described(receipt: "Receipt") -> str:
    from agent_tasks.cli.text import printable

    if not receipt.kept:
        return "was sent this signal id before: nothing has changed."
    if receipt.delivered:
        return "got the signal."
    if receipt.waiting_for:
        return f"keeps the signal. It is waiting for {printable(', '.join(receipt.waiting_for))}."
    return "keeps the signal. It is not waiting for one now."
