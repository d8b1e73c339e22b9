"""`agent-tasks migrate`: bring the database's tables to this version."""

import json

import typer

from agent_tasks.cli.deployment import reach_postgres, show_warnings_in_one_line
from agent_tasks.cli.options import AsJson
from agent_tasks.settings import Settings


def migrate(as_json: AsJson = False) -> None:
    """Apply the migrations that the database lacks; safe to run many times, and many at once."""
    from agent_tasks.migrations import current, upgrade

    show_warnings_in_one_line()
    url = Settings.load().database_url
    reach_postgres(url)
    before = current(url)
    after = upgrade(url)
    if as_json:
        typer.echo(json.dumps({"before": before, "after": after}))
    elif before == after:
        typer.echo(f"The database is at revision {after}; nothing to do.")
    else:
        typer.echo(f"The database was at revision {before or 'none'}, and is now at {after}.")
