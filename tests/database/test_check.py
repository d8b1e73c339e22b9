"""`agent-tasks check`, as a pipeline runs it."""

import json

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import AgentTasks
from agent_tasks.cli.application import app
from tests.database import query, submitted


def check(client: AgentTasks, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", "--against", client.settings.database_url, *arguments])


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a pipeline, which knows the agents and is told of the database, and of no broker."""
    for name in ("AGENT_TASKS_DATABASE_URL", "AGENT_TASKS_REDIS_URL", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AGENT_TASKS_AGENTS", "tests.agents")


def test_check_says_what_does_not_fit_and_ends_with_1(client: AgentTasks) -> None:
    task = submitted(client)
    fits = check(client)
    assert fits.exception is None or isinstance(fits.exception, SystemExit), fits.exception
    assert (fits.exit_code, fits.stdout) == (0, "All living tasks and schedules fit the code that is loaded here.\n")
    query(client, "UPDATE agent_tasks.tasks SET step = 'echoed'")
    wrong = check(client)
    assert (wrong.exit_code, wrong.stdout) == (
        1,
        f"step  echo.echoed (1 task, as {task}): The code of echo has no step echoed. Name it in was= of the step that "
        "takes its place, or keep it until no task is at it.\n",
    )
    (line,) = check(client, "--json").stdout.splitlines()
    said = json.loads(line)
    assert (said["kind"], said["step"], said["tasks"], said["example"]) == ("step", "echoed", 1, str(task))


def test_check_that_cannot_be_asked_ends_with_2(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", "postgresql://127.0.0.1:1/elsewhere")
    away = CliRunner().invoke(app, ["check"])
    assert (away.exit_code, "Cannot reach Postgres" in away.stderr) == (2, True)
    monkeypatch.setenv("AGENT_TASKS_AGENTS", "tests.no_such_agents")
    broken = check(client)
    assert (broken.exit_code, "tests.no_such_agents does not load" in broken.stderr) == (2, True)
