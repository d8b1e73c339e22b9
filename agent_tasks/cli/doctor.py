"""`agent-tasks doctor`: what is in force, what is reachable, and what is wrong."""

import json
import sys
from typing import Annotated

import typer

from agent_tasks.cli.options import AsJson
from agent_tasks.cli.problems import ExitCode


def doctor(
    sweeps: Annotated[
        bool, typer.Option("--sweeps", help="Check only that the sweeps have run within the last 60 seconds.")
    ] = False,
    deliverer: Annotated[
        bool, typer.Option("--deliverer", help="Check only that a deliverer has looked within the last 60 seconds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the settings in force, and check servers, agents, workers, sweeps and webhooks."""
    from agent_tasks.authoring.loading import import_from_current_folder
    from agent_tasks.cli.checks import all_checks, deliverer_check, sweeps_check
    from agent_tasks.cli.deployment import show_warnings_in_one_line
    from agent_tasks.cli.lines import broken_for
    from agent_tasks.cli.settings_in_force import lines, settings_in_force

    show_warnings_in_one_line()
    import_from_current_folder()
    asked = [check for check, is_asked in ((sweeps_check, sweeps), (deliverer_check, deliverer)) if is_asked]
    shown = [] if asked else settings_in_force()
    findings = [check() for check in asked] if asked else all_checks()
    wrong = [finding for finding in findings if not finding.ok]
    if as_json:
        document = {
            "ok": not wrong,
            "settings": {s.name: {"value": s.shown, "from": s.source} for s in shown},
            "checks": [{"name": f.name, "ok": f.ok, "found": f.text, "to_do": f.action} for f in findings],
        }
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        if shown:
            typer.echo("\n".join([*lines(shown), ""]))
        for finding in findings:
            typer.echo(broken_for(sys.stdout, finding.line, indent=" " * 17))
    raise typer.Exit(ExitCode.ENDED_BADLY if wrong else ExitCode.OK)
