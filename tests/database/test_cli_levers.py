"""`agent-tasks bulk` and `agent-tasks purge`: what is printed, and how they end."""

import json
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import AgentTasks, Identity, Settings
from agent_tasks.cli.application import app
from agent_tasks.client import bulk_run
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import ServerAway
from agent_tasks.transitions import bulk as bulk_rows
from tests.database import row_of, submitted

ANA = Identity(subject="ana", tenant="acme")
NONE = "0198c2f4-7c1a-7e53-b9d1-3c0f6a9be011"


@pytest.fixture(autouse=True)
def _in_force(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's settings, in the environment."""
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="agent-tasks")


def statuses(client: AgentTasks, tasks: list[UUID]) -> list[str]:
    return [row_of(client, task)["status"] for task in tasks]


def test_a_dry_run_counts_and_a_run_does_it_and_both_say_so(client: AgentTasks) -> None:
    meant, other = [submitted(client, queue="slow") for _ in range(3)], submitted(client)
    dry = run("bulk", "cancel", "--queue", "slow", "--dry-run")
    assert dry.stdout == "3 matched, 3 would be cancelled. Nothing was changed.\n"
    assert statuses(client, meant) == ["pending"] * 3
    done, told = run("bulk", "cancel", "--queue", "slow", "--reason", "wrong").stdout.splitlines()
    assert done == "3 matched, 3 cancelled."
    assert statuses(client, [*meant, other]) == ["cancelled"] * 3 + ["pending"]
    id = told.split()[-1]
    assert told.strip() == f"cancel done, id {id}"
    assert run("bulk", "show", id).stdout.splitlines() == [done, told]
    again = json.loads(run("bulk", "cancel", "--queue", "slow", "--json").stdout)
    assert (again["matched"], again["done"], again["passed_over"]) == (3, 0, 3)
    assert [line.split()[0] for line in run("bulk", "list").stdout.splitlines()] == [again["id"], id]


def test_one_that_postgres_cuts_off_says_that_a_sweep_goes_on(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        submitted(client, queue="slow")
    monkeypatch.setattr(bulk_run, "BATCH", 2)
    look = bulk_rows.lock
    locked: list[UUID] = []

    def cut_off(connection: Connection, id: UUID) -> bulk_rows.BulkRow | None:
        locked.append(id)
        if len(locked) > 1:
            raise ServerAway("the server closed the connection")
        return look(connection, id)

    monkeypatch.setattr(bulk_rows, "lock", cut_off)
    ended = run("bulk", "cancel", "--queue", "slow")
    assert ended.exit_code != 0
    assert f"2 matched, 2 cancelled so far; a sweep does the rest: agent-tasks bulk show {locked[0]}" in ended.stderr
    assert client.get_bulk(locked[0]).status == "running"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["signal", "go", "--queue", "slow"], "signalled"),
        (["acknowledge", "--queue", "slow"], "acknowledged"),
        (["purge", "--queue", "slow"], "purged"),
        (["prioritise", "7", "--queue", "slow"], "prioritised"),
        (["move", "fast", "--queue", "slow"], "moved"),
        (["resume", "--queue", "slow", "--budget-tokens", "10"], "resumed"),
    ],
    ids=lambda case: case[0] if isinstance(case, list) else "",
)
def test_each_operation_is_a_command(client: AgentTasks, arguments: list[str], said: str) -> None:
    submitted(client, queue="slow")
    counted = run("bulk", *arguments, "--dry-run")
    assert counted.exit_code == 0, counted.stderr
    assert f"would be {said}" in counted.stdout
    assert run("bulk", *arguments).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bulk", "cancel"], "--all"),
        (["bulk", "cancel", "--queue", "slow", "--limit", "0"], "--limit"),
        (["bulk", "prioritise", "10", "--queue", "slow"], "less than or equal to 9"),
        (["bulk", "show", NONE], NONE),
        (["bulk", "show", "nonsense"], "nonsense"),
        (["bulk", "stop", NONE], NONE),
        (["purge"], "a task, a subject"),
        (["purge", "--subject", "ana", NONE], NONE),
    ],
)
def test_what_cannot_be_says_what_to_do_and_ends_with_its_code(
    client: AgentTasks, arguments: list[str], said: str
) -> None:
    task = submitted(client, queue="slow")
    refused = run(*arguments)
    assert refused.exit_code in (2, 4)
    assert said in refused.stderr
    assert row_of(client, task)["status"] == "pending"


@pytest.mark.parametrize("named", [["--agent", "ecko"], ["--queue", "slwo"], ["--tenant", "acne"]], ids=str)
def test_a_pause_of_what_no_task_is_of_says_so(client: AgentTasks, named: list[str]) -> None:
    submitted(client, identity=ANA, queue="slow")
    paused = run("pause", *named)
    assert (paused.exit_code, paused.stdout) == (0, f"The {named[0].strip('-')} {named[1]} is paused\n")
    assert "No task is of it" in paused.stderr
    for right in ("--agent echo", "--queue slow", "--tenant acme", "--agent echo --tenant acme"):
        assert run("pause", *right.split()).stderr == ""


def test_a_person_is_purged_with_a_report(client: AgentTasks) -> None:
    own, other = submitted(client, identity=ANA), submitted(client)
    living = run("purge", "--subject", "ana", "--tenant", "acme")
    assert (living.exit_code, "--cancel" in living.stderr) == (2, True)
    assert row_of(client, own)["status"] == "pending"
    dry = run("purge", "--subject", "ana", "--tenant", "acme", "--cancel", "--dry-run")
    assert dry.stdout.startswith("1 task would be deleted, 1 of them cancelled first\n")
    assert row_of(client, own)["status"] == "pending"
    gone = run("purge", "--subject", "ana", "--tenant", "acme", "--cancel")
    head, *tables = gone.stdout.splitlines()
    assert head == "1 task deleted, 1 of them cancelled first"
    assert any(line.split()[0] == "tasks" for line in tables)
    assert run("status", str(own)).exit_code != 0
    assert row_of(client, other)["status"] == "pending"
    client.get(other).cancel()
    assert json.loads(run("purge", str(other), "--json").stdout)["tasks"] == 1


def test_a_person_who_is_not_found_without_a_tenant_is_said_to_be_looked_for_there(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.get(task).cancel()
    found = run("purge", "--subject", "ana")
    assert (found.exit_code, found.stdout) == (0, "0 tasks deleted\n")
    assert "Nothing is kept of ana of no tenant. Of which are they? --tenant NAME" in found.stderr
    gone = run("purge", "--subject", "ana", "--tenant", "acme")
    assert (gone.stdout.splitlines()[0], gone.stderr) == ("1 task deleted", "")
