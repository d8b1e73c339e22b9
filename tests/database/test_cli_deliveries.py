"""`agent-tasks deliveries` and `agent-tasks feed`: what is printed, and how they end."""

import json

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import AgentTasks, Identity, Settings
from agent_tasks.cli.application import app
from tests.database import query
from tests.database.webhooks import deliveries, ended, endpoint

ANA = Identity(subject="ana", tenant="acme")
AS_BOB = ("--as", "bob", "--tenant", "acme")


@pytest.fixture(autouse=True)
def _in_force(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's settings, in the environment."""
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="agent-tasks")


def test_deliveries_are_listed_shown_and_made_once_more(client: AgentTasks) -> None:
    billing = endpoint(client, "acme", name="billing")
    assert run("deliveries", "list").stdout == "No such deliveries.\n"
    task = client.submit("echo", {"value": 1}, identity=ANA)
    task.cancel()
    first, second = (str(row["id"]) for row in deliveries(client, billing))
    ended(client, deliveries(client, billing)[0]["id"])
    lines = run("deliveries", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [second, first]
    assert all(word in lines[1] for word in ("failed", "task.submitted", "billing", "sent 10 times"))
    assert "not yet sent" in lines[0]
    filters = ("--webhook", "billing", "--status", "failed", "--task", str(task.id), "--tenant", "acme")
    (line,) = run("deliveries", "list", "--json", "--type", "task.submitted", *filters).stdout.splitlines()
    assert json.loads(line)["id"] == first
    page = run("deliveries", "list", "--limit", "1")
    cursor = page.stderr.split("--after ")[1].strip()
    assert run("deliveries", "list", "--after", cursor).stdout.split()[0] == first
    shown = run("deliveries", "show", first).stdout
    assert all(word in shown for word in (first, "failed", "billing", str(task.id), "https://a.example"))
    made = json.loads(run("deliveries", "replay", first, "--json").stdout)
    assert (made["id"] != first, made["status"]) == (True, "pending")
    assert "pending" in run("deliveries", "replay", second).stdout
    assert run("deliveries", "replay", "--webhook", "billing", "--tenant", "acme").stdout == "2 events for billing\n"
    some = run(
        "deliveries", "replay", "--webhook", "billing", "--tenant", "acme", "--after", "2999-01-01T00:00:00Z", "--json"
    )
    assert json.loads(some.stdout) == {"replayed": 0}
    query(client, "UPDATE agent_tasks.deliveries SET due_at = NULL WHERE id = %s", second)
    assert "waits for an earlier one" in run("deliveries", "show", second).stdout
    entries = {(entry.door, entry.operation) for entry in client.audit() if entry.operation.startswith("replay")}
    assert entries == {("cli", "replay_delivery"), ("cli", "replay_deliveries")}


def test_the_feed_is_printed_and_gone_on_with(client: AgentTasks) -> None:
    endpoint(client, "acme")
    empty = run("feed", "--tenant", "acme")
    assert empty.stdout == "Nothing such has happened.\n"
    task = client.submit("echo", {"value": 1}, identity=ANA)
    task.cancel()
    first = run("feed", "--tenant", "acme", "--limit", "1")
    assert all(word in first.stdout for word in ("task.submitted", str(task.id), "echo", "pending"))
    after = first.stderr.split("--after ")[1].strip()
    page = json.loads(run("feed", "--tenant", "acme", "--after", after, "--json").stdout)
    assert [event["type"] for event in page["events"]] == ["task.cancelled"]
    assert run("feed", *AS_BOB).stdout == "Nothing such has happened.\n"
    assert "task.cancelled" in run("feed", "--as", "ana", "--tenant", "acme").stdout


def test_what_is_wrong_is_said(client: AgentTasks) -> None:
    billing = endpoint(client, "acme", name="billing")
    client.submit("echo", {"value": 1}, identity=ANA)
    id = str(deliveries(client, billing)[0]["id"])
    for arguments, code in (
        (("show", "none"), 4), (("show", id), 0), (("show", id, *AS_BOB), 4), (("replay", id, *AS_BOB), 4),
        (("replay", "--webhook", "none"), 4), (("replay",), 2), (("replay", id, "--webhook", "billing"), 2),
        (("replay", id, "--all"), 2), (("list", "--status", "lost"), 2), (("list", "--after", "x"), 2),
        (("replay", "--webhook", "billing", "--tenant", "acme", "--after", "soon"), 2),
    ):  # fmt: skip
        found = run("deliveries", *arguments)
        assert found.exit_code == code, (arguments, found.output)
        assert bool(found.stderr) == (code != 0)
    assert run("feed", "--after", "x").exit_code == 2
