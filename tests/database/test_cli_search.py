"""`agent-tasks ls` and `agent-tasks spend`: what is printed, and how they end."""

import json

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import AgentTasks, Budget, Identity, Settings
from agent_tasks.cli.application import app
from agent_tasks.transitions import spend
from tests.database import claimed, submitted

ANA = Identity(subject="ana", tenant="acme")
AS_BOB = ("--as", "bob", "--tenant", "acme")


@pytest.fixture(autouse=True)
def _in_force(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's settings, in the environment."""
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="agent-tasks")


def test_ls_finds_tasks_by_its_options_and_goes_on_where_it_says(client: AgentTasks) -> None:
    assert run("ls").stdout == "No such tasks.\n"
    one = submitted(client, identity=ANA, metadata={"ticket": 7}, session_id="s")
    other = submitted(client, queue="slow")
    client.get(one).cancel("the provider is down")
    head, line, *more = run("ls", "--metadata", "ticket=7").stdout.splitlines()
    assert head.split() == ["TASK", "STEP", "STATUS", "AGE"]
    assert line.split()[:3] == [str(one), "echo.echo", "cancelled"]
    assert "the provider is down" in "".join(more)
    found = [
        run("ls", "--json", *options.split()).stdout.splitlines()
        for options in (
            "--status cancelled --agent echo --step echo --queue agents --tenant acme --subject ana --session-id s",
            "--error-type cancelled --text provider --created-after 1h --ended-after 30min",
            f"--text {str(one)[:13]} --created-before 2999-01-01T00:00:00Z --ended-before 2999-01-01",
        )
    ]
    assert [[json.loads(each)["id"] for each in lines] for lines in found] == [[str(one)]] * 3
    page = run("ls", "--limit", "1", "--json")
    assert json.loads(page.stdout)["id"] == str(other)
    cursor = page.stderr.split("--after ")[1].split()[0]
    assert json.loads(run("ls", "--limit", "1", "--json", "--after", cursor).stdout)["id"] == str(one)
    assert run("ls", *AS_BOB).stdout == "No such tasks.\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--metadata ticket", "KEY=VALUE"), ("--created-after yesterday", "30min"), ("--text ...", "letter"),
        ("--ended-before 99999999999999d", "30min"), ("--after nothing", "cursor"), ("--agent=", "agent must have"),
    ],
)  # fmt: skip
def test_ls_refuses_what_means_nothing(client: AgentTasks, options: str, said: str) -> None:
    ended = run("ls", *options.split())
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_spend_sums_up_what_was_charged(client: AgentTasks) -> None:
    assert run("spend").stdout == "Nothing was charged.\n"
    task = claimed(client, submitted(client, identity=ANA, budget=Budget(usd=10.0)))
    with client.database.connection() as connection:
        spend.charge(connection, task, tokens=1_500, usd=0.25, model="large")
        spend.charge(connection, task, tokens=10, usd=0.5, model=None)
    head, first, second = run("spend", "--by", "tenant", "--by", "model", "--since", "1d").stdout.splitlines()
    assert head.split() == ["TENANT", "MODEL", "TASKS", "TOKENS", "USD"]
    assert first.split() == ["acme", "-", "1", "10", "0.50"]
    assert second.split() == ["acme", "large", "1", "1,500", "0.25"]
    (line,) = run("spend", "--by", "agent", "--model", "large", "--subject", "ana", "--json").stdout.splitlines()
    spent = json.loads(line)
    assert (spent["agent"], spent["tokens"], spent["usd"], spent["day"]) == ("echo", 1_500, 0.25, None)
    refused = run("spend", "--as", "bob", "--tenant", "acme", "--subject", "ana")
    assert refused.exit_code == 4
    assert "tasks:all" in refused.stderr
    assert run("spend", *AS_BOB).stdout == "Nothing was charged.\n"
