"""`agent-tasks migrate`: bring the database's tables to this version, or print the SQL that does."""

import json
from typing import Annotated

import typer

from agent_tasks.cli.deployment import reach_postgres, show_warnings_in_one_line
from agent_tasks.cli.options import AsJson
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings


def migrate(
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL for whoever may run it, and connect to nothing.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--from", metavar="REVISION", help="With --sql: what the database is at, or head.")
    ] = None,
    grant: Annotated[
        str | None, typer.Option(metavar="ROLE", help="With --sql: grant this role what all processes need.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the database's tables up to date. Safe to repeat, and to run many times at once."""
    from agent_tasks.store.migrations import current, script, upgrade

    if sql:
        typer.echo(script(since, grant), nl=False)
        return
    if since is not None or grant is not None:
        given = "from" if since is not None else "grant"
        raise InvalidInput(f"--{given} goes with --sql: it is for the script.", field=given)
    show_warnings_in_one_line()
    url = Settings.load().database_url
    reach_postgres(url)
    before = current(url)
    after = upgrade(url)
    if as_json:
        typer.echo(json.dumps({"before": before, "after": after}))
    elif before == after:
        typer.echo(f"The database is up to date, at revision {after}.")
    else:
        typer.echo(f"The database is now at revision {after} (before: {before or 'none'}).")
