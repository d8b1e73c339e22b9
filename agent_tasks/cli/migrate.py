"""`agent-tasks migrate`: bring the database's tables to this version."""

import json

import typer

from agent_tasks.cli.deployment import reach_postgres, show_warnings_in_one_line
from agent_tasks.cli.options import AsJson
from agent_tasks.settings import Settings


def migrate(as_json: AsJson = False) -> None:
    """Bring the database's tables up to date. Safe to repeat, and to run many times at once."""
    from agent_tasks.store.migrations import current, upgrade

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
