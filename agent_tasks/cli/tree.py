"""`agent-tasks tree`: a task with all that it has spawned."""

from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, TaskId, identity_of
from agent_tasks.store.queries import calls, read

_INPUT = 120
"""The characters shown of a task's input: enough to tell it from its siblings."""


def tree(
    id: TaskId,
    root: Annotated[bool, typer.Option("--root", help="Draw the whole tree that the task belongs to.")] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Draw at most N children of each task.")] = 20,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
    as_json: AsJson = False,
) -> None:
    """Draw a task and everything it has spawned, with status, waits, progress and spending."""
    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        top = find_task(client, id, identity).tree(root=root)
        if as_json:
            typer.echo(top.model_dump_json(indent=2))
            return
        from rich.console import Console

        from agent_tasks.cli.tree_view import drawn, tree_view

        with client.database.connection() as connection:
            ids = drawn(top, limit)
            inputs, costs = read.input_hints(connection, ids, _INPUT), calls.costs(connection, ids)
    Console(highlight=False).print(tree_view(top, limit, inputs, costs))
