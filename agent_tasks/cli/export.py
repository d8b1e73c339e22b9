"""`agent-tasks export`: a task as a file, to be replayed elsewhere."""

import json
from typing import Annotated

import typer

from agent_tasks.cli.deployment import deployment, find_task
from agent_tasks.cli.options import AsScopes, AsSubject, AsTenant, TaskId, identity_of


def export(
    id: TaskId,
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="Also a task of a sensitive agent, with what it has recorded.")
    ] = False,
    as_subject: AsSubject = None,
    tenant: AsTenant = "",
    scope: AsScopes = None,
) -> None:
    """Print a task as JSON, with all that it has recorded, for agent_tasks.testing.replay.

    That is its input, state, calls, signals and hooks: keep the file as you keep the database.
    """
    import psycopg

    from agent_tasks.client.export import export as exported
    from agent_tasks.store.route import connect

    identity = identity_of(as_subject, tenant, scope)
    with deployment() as client:
        task = find_task(client, id, identity)
        with connect(client.settings.database_url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # all is read as of one moment
            connection.read_only = True
            with connection.transaction():
                document = exported(connection, task.id, sensitive=sensitive)
    print(json.dumps(document, ensure_ascii=False, indent=1))
