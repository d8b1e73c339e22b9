"""`agent-tasks alerts`: what is printed, and how it ends."""

import json

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import AgentTasks, Settings
from agent_tasks.cli.application import app
from agent_tasks.sweeps import alerts
from tests.database import query, submitted


@pytest.fixture(autouse=True)
def _in_force(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's settings, in the environment."""
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["alerts", *arguments], prog_name="agent-tasks")


def test_alerts_are_set_listed_and_removed(client: AgentTasks) -> None:
    assert run("list").stdout == "No alerts.\n"
    assert run("set", "stuck", "pending", "2h", "--agent", "echo").stdout == "stuck is set; it is ok\n"
    made = json.loads(run("set", "fails", "failures", "20%", "--window", "1d", "--tenant", "acme", "--json").stdout)
    assert (made["threshold"], made["window"], made["tenant"], made["everywhere"]) == (0.2, 86_400, "acme", False)
    assert json.loads(run("set", "cost", "spend", "50", "--json").stdout)["threshold"] == 50
    assert "spend ≥ 50.00 usd" in run("list").stdout
    assert run("remove", "cost").stdout == "cost is removed\n"
    task = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET pending_since = now() - interval '3 h' WHERE id = %s", task)
    assert alerts.run_once(client) == 1
    query(client, "UPDATE agent_tasks.alerts SET checked_at = NULL WHERE name = 'fails'")
    lines = run("list").stdout.splitlines()
    assert [line.split(" for ")[0].split() for line in lines if not line.startswith(" ")] == [
        ["NAME", "STATE"], ["fails", "not", "checked", "yet"], ["stuck", "firing"],
    ]  # fmt: skip
    said = " ".join(lines)
    for part in ("failures ≥ 20.0%", "of acme", "pending ≥ 2 h", "of everybody", "measured: 3 h"):
        assert part in said
    assert [json.loads(line)["state"] for line in run("list", "--json").stdout.splitlines()] == ["ok", "firing"]
    assert [json.loads(line)["name"] for line in run("list", "--json", "--tenant", "acme").stdout.splitlines()] == [
        "fails"
    ]


def test_an_agent_that_no_worker_has_is_said(client: AgentTasks) -> None:
    found = run("set", "stuck", "pending", "2h", "--agent", "echoo")
    assert (found.exit_code, found.stdout) == (0, "stuck is set; it is ok\n")
    assert "No worker has registered the agent 'echoo' yet" in found.stderr


def test_an_identity_needs_the_scope_for_its_whole_tenant(client: AgentTasks) -> None:
    ana = ("--as", "ana", "--tenant", "acme")
    assert "tasks:all" in run("set", "stuck", "pending", "2h", *ana).stderr
    assert run("set", "stuck", "pending", "2h", *ana, "--scope", "tasks:all").exit_code == 0
    assert run("list", *ana).stdout == "No alerts.\n"
    assert run("remove", "stuck", *ana).exit_code == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("set a slow 1", "kind must be one of waiting, pending,"), ("set a pending", "needs a threshold"),
        ("set a pending 5", "number and a unit"), ("set a failures 200%", "a share above 0"),
        ("set a spend much", "must be a number"), ("set a orphans 1.5", "a whole number"),
        ("set a deliveries --queue slow", "takes no queue"), ("set a orphans --window 1s", "from a minute to 31 days"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused(client: AgentTasks, arguments: str, said: str) -> None:
    found = run(*arguments.split())
    assert found.exit_code == 2
    assert said in found.stderr
    assert client.alerts() == []
