"""`agent-tasks check`: whether the code that is loaded here can go on with every living task of a deployment."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from agent_tasks.cli.options import AsJson
from agent_tasks.cli.problems import ExitCode, Failed, Problem, problem_of

if TYPE_CHECKING:
    from agent_tasks.client.misfits import Misfit


def check(
    against: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The database whose tasks are looked at; by default the settings'."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that the code here accepts every living task's step, state, signals, undo, and every schedule.

    Exit codes of its own: 0 it does, 1 it does not, 2 it could not be asked.
    """
    try:
        found = _misfits(against)
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            raise
        problem.show(as_json=as_json)
        raise typer.Exit(2) from None
    for misfit in found:
        if as_json:
            print(json.dumps({**asdict(misfit), "to_do": misfit.action}, ensure_ascii=False))
            continue
        what = misfit.agent if misfit.step is None else f"{misfit.agent}.{misfit.step}"
        tasks = f"{misfit.tasks:,} task{'' if misfit.tasks == 1 else 's'}, as {misfit.example}"
        where = f"schedule {misfit.example}" if misfit.kind == "schedule" else tasks
        end = "" if misfit.problem.endswith(".") else "."
        print(f"{misfit.kind}  {what} ({where}): {misfit.problem}{end} {misfit.action}")
    if not found and not as_json:
        print("All living tasks and schedules fit the code that is loaded here.")
    raise typer.Exit(ExitCode.ENDED_BADLY if found else ExitCode.OK)


def _misfits(against: str | None) -> "list[Misfit]":
    import psycopg

    from agent_tasks.authoring.agent import served_agents
    from agent_tasks.authoring.loading import import_from_current_folder, load_agents, why_not_loaded
    from agent_tasks.authoring.peers.own import load_own
    from agent_tasks.cli.deployment import show_warnings_in_one_line
    from agent_tasks.client.misfits import misfits
    from agent_tasks.engine.process.registration import check as check_annotations
    from agent_tasks.settings import Settings
    from agent_tasks.store.route import connect

    show_warnings_in_one_line()
    import_from_current_folder()
    where = {} if against is None else {"database_url": against}
    settings = Settings.load(broker_url="memory://", **where)  # nothing is sent: a pipeline need not know the broker
    failed = load_agents(settings.agents, settings.bundled)
    if failed:
        said = "; ".join(f"{name} does not load: {why_not_loaded(name, error)}" for name, error in failed.items())
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", said, "Mend it: no worker could serve its agents."))
    load_own()
    agents = {name: agent for name, agent in served_agents().items() if agent.steps}
    check_annotations(agents.values())
    with connect(settings.database_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # all is looked at as of one moment
        connection.read_only = True
        with connection.transaction():
            return misfits(connection, agents)
