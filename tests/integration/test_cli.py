"""The commands on a living deployment: what they print, and how they end."""

import json
import re
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import Identity, TaskStatus
from agent_tasks.cli.application import app
from agent_tasks.sweeps import orphans
from tests.conftest import Fleet
from tests.database import query
from tests.eventually import eventually

pytestmark = pytest.mark.usefixtures("in_force")


@pytest.fixture
def in_force(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fleet's settings, in the environment."""
    for name, value in fleet.processes.environment().items():
        if name.startswith("AGENT_TASKS_"):
            monkeypatch.setenv(name, value)


def run(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=input, prog_name="agent-tasks")


def folder_input(folder: Path) -> str:
    return json.dumps({"folder": str(folder)})


def submit(*arguments: str) -> str:
    result = run("submit", *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def wait_until(fleet: Fleet, task_id: str, step: str) -> None:
    def there() -> bool:
        now = fleet.client.get(task_id).stored()
        return now.status == "running" and now.step == step

    eventually(there)


def test_submit_prints_the_id_and_with_wait_the_result(tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"value": "tides"}')
    result = run("submit", "echo", f"@{tmp_path / 'input.json'}", "--wait", "--timeout", "20")
    assert result.exit_code == 0
    id, value = result.stdout.splitlines()
    assert re.fullmatch(r"[0-9a-f-]{36}", id)
    assert value == "tides"


def test_submit_passes_every_option_on(fleet: Fleet) -> None:
    options = ["--session-id", "s1", "--queue", "nowhere", "--priority", "9", "--ttl", "50", "--metadata", '{"a": 1}']
    who = ["--subject", "ana", "--tenant", "acme", "--scope", "read", "--scope", "write"]
    budget = ["--budget-seconds", "5", "--budget-tokens", "6", "--budget-usd", "0.5", "--budget-steps", "7"]
    task_id = submit("echo", *options, *who, *budget, "--budget-calls", "8", "--callback-url", "https://a.example")
    (row,) = query(fleet.client, "SELECT callback_url FROM agent_tasks.tasks WHERE id = %s", task_id)
    assert row["callback_url"] == "https://a.example"
    task = fleet.client.get(task_id).stored()
    assert (task.session_id, task.queue, task.metadata) == ("s1", "nowhere", {"a": 1})
    assert task.identity == Identity(subject="ana", tenant="acme", scopes=("read", "write"))
    assert task.budget.limit.as_dict() == {"seconds": 5, "tokens": 6, "usd": 0.5, "steps": 7, "calls": 8}
    fleet.client.get(task.id).cancel()
    query(fleet.client, "DELETE FROM agent_tasks.deliveries WHERE task_id = %s", task.id)  # nobody delivers here


def test_the_same_idempotency_key_prints_the_same_id() -> None:
    key = uuid4().hex
    assert submit("echo", "--idempotency-key", key) == submit("echo", "--idempotency-key", key)
    result = run("submit", "echo", '{"value": 2}', "--idempotency-key", key)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_waiting_for_a_task_that_fails_exits_with_1_and_says_why() -> None:
    result = run("submit", "flaky", '{"fail": 9}', "--wait", "--timeout", "20")
    assert result.exit_code == 1
    assert "ended as failed" in result.stderr
    result = run("submit", "flaky", '{"fail": 9}', "--wait", "--timeout", "20", "--json")
    assert json.loads(result.stdout)["status"] == "failed"
    assert json.loads(result.stderr)["type"] == json.loads(result.stdout)["error"]["type"]


def test_waiting_too_long_exits_with_124_and_the_task_goes_on(fleet: Fleet, tmp_path: Path) -> None:
    result = run("submit", "relay", folder_input(tmp_path), "--wait", "--timeout", "0.2")
    assert result.exit_code == 124
    (tmp_path / "go").touch()
    assert fleet.client.get(result.stdout.strip()).wait(20).status == "completed"


def test_an_unknown_agent_or_a_wrong_input_exits_with_2() -> None:
    assert run("submit", "nobody").exit_code == 2
    result = run("submit", "count", '{"to": "many"}')
    assert result.exit_code == 2
    assert "to:" in result.stderr


@pytest.mark.parametrize("command", ["status", "watch", "events", "cancel", "resume"])
def test_a_task_that_is_not_there_exits_with_4(command: str) -> None:
    for id in (str(uuid4()), "nonsense"):
        result = run(command, id)
        assert (result.exit_code, result.stderr.count("\n")) == (4, 1)


@pytest.mark.parametrize("command", ["status", "watch", "events", "cancel", "resume"])
def test_whoever_asks_as_another_sees_nothing(command: str) -> None:
    id = submit("echo", "--subject", "ana", "--tenant", "acme")
    assert run(command, id, "--as", "bob", "--tenant", "acme").exit_code == 4
    if command in ("status", "events"):
        assert run(command, id, "--as", "ana", "--tenant", "acme").exit_code == 0
        assert run(command, id, "--as", "bob", "--tenant", "acme", "--scope", "tasks:all").exit_code == 0


def test_watch_prints_a_line_for_each_change_to_the_end(fleet: Fleet, tmp_path: Path) -> None:
    id = submit("relay", folder_input(tmp_path))
    wait_until(fleet, id, "held")
    (tmp_path / "go").touch()
    result = run("watch", id, "--timeout", "20")
    assert result.exit_code == 0
    *_, last, value = result.stdout.splitlines()
    assert (last.split(), value) == (["completed", "relay.last"], "done")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    versions = [json.loads(line)["version"] for line in run("watch", id, "--json").stdout.splitlines()]
    assert versions == sorted(set(versions))


def test_the_beginning_of_an_id_is_enough_where_no_other_begins_so(fleet: Fleet) -> None:
    task = fleet.client.submit("echo", identity=Identity(subject="prefixed"))
    short = f"{str(task.id)[:23]}…"
    for command in ("status", "watch", "events", "tree"):
        assert run(command, short).exit_code == 0
    assert run("signal", short, "any").exit_code == 2  # it has ended
    assert run("resume", short, "--from-step", "0", "--as", "prefixed").exit_code == 0
    assert run("status", short, "--as", "eve").exit_code == 4
    assert run("status", "ffffffff").exit_code == 4
    assert run("status", str(task.id)[:4]).exit_code == 4  # so little says nothing


def test_an_ambiguous_beginning_is_told_with_the_ids_that_begin_so(fleet: Fleet) -> None:
    tasks = fleet.client.submit_many("echo", [None, None])
    said = run("cancel", str(tasks[0].id)[:8])
    assert said.exit_code == 2
    assert "Several task ids" in said.stderr


def test_events_prints_the_history_in_order(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    id = submit("relay", folder_input(tmp_path))
    followed = run("events", id, "--follow", "--json", "--timeout", "20")
    events = [json.loads(line) for line in followed.stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["type"], events[-1]["type"]) == ("submitted", "finished")
    later = run("events", id, "--after", "2").stdout.splitlines()
    assert len(later) == len(events) - 2
    assert later[0].split()[0] == "3"


def test_a_cancelled_task_can_be_resumed_and_ends(fleet: Fleet, tmp_path: Path) -> None:
    id = submit("relay", folder_input(tmp_path))
    wait_until(fleet, id, "held")
    assert run("resume", id).exit_code == 2
    assert run("cancel", id, "--reason", "enough").stdout.split()[:2] == [id, "cancelled"]
    assert "enough" in run("status", id).stdout
    assert "already" in run("cancel", id).stdout
    (tmp_path / "go").touch()
    result = run("resume", id, "--budget-seconds", "60", "--wait", "--timeout", "20")
    assert (result.exit_code, result.stdout.splitlines()[1]) == (0, "done")
    again = fleet.client.get(result.stdout.splitlines()[0]).stored()
    assert (str(again.resumed_from), again.budget.limit.seconds) == (id, 60)


def test_status_shows_what_stands_in_postgres(fleet: Fleet, tmp_path: Path) -> None:
    id = submit("relay", folder_input(tmp_path), "--subject", "ana")
    wait_until(fleet, id, "held")
    shown = dict(re.split(r" {2,}", line, maxsplit=1) for line in run("status", id).stdout.splitlines())
    assert (shown["agent"], shown["step"], shown["for"]) == ("relay", "held, after 1 committed", "ana")
    assert json.loads(run("status", id, "--json").stdout)["id"] == id
    fleet.client.get(id).cancel()


def test_ps_lists_living_tasks_oldest_first_in_80_columns(fleet: Fleet, tmp_path: Path) -> None:
    ids = [submit("relay", folder_input(tmp_path), "--tenant", "ps", "--subject", "ps-ana") for _ in range(2)]
    for id in ids:
        wait_until(fleet, id, "held")
    lines = run("ps", "--tenant", "ps").stdout.splitlines()
    assert [line.split()[0] for line in lines[1::2]] == ids
    assert all(len(line) <= 80 for line in lines)
    assert "worker0@test" in lines[2]
    assert [
        task["id"] for task in json.loads(run("ps", "--subject", "ps-ana", "--limit", "1", "--json").stdout)
    ] == ids[:1]
    assert run("ps", "--tenant", "ps", "--status", "waiting").stdout.startswith("No ")
    for id in ids:
        fleet.client.get(id).cancel()
    ended = json.loads(run("ps", "--tenant", "ps", "--status", "cancelled", "--json").stdout)
    assert {task["status"] for task in ended} == {TaskStatus.CANCELLED}


def test_migrate_prints_the_revision_before_and_after() -> None:
    result = run("migrate", "--json")
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed["before"] == printed["after"]
    assert printed["after"] in run("migrate").stdout


def test_doctor_finds_a_deployment_well_once_the_sweeps_have_ticked(fleet: Fleet) -> None:
    orphans.run_once(fleet.client)
    result = run("doctor", "--json")
    checks = json.loads(result.stdout)["checks"]
    assert [check for check in checks if not check["ok"]] == []
    assert result.exit_code == 0
    assert {"postgres", "migrations", "redis", "broker", "agent", "worker", "sweeps", "secret", "webhooks"} == {
        c["name"] for c in checks
    }
    assert run("doctor", "--sweeps").exit_code == 0


def test_a_task_that_no_worker_takes_is_shown_as_such_by_every_command(fleet: Fleet) -> None:
    id = submit("echo", "--queue", "nowhere", "--tenant", "unserved", "--subject", "ana")
    said = "No worker that has echo.echo takes from the queue nowhere"
    assert said in run("status", id).stdout
    assert said in " ".join(run("ps", "--tenant", "unserved").stdout.split())
    assert said[:40] in run("tree", id).stdout
    assert said in " ".join(run("watch", id, "--timeout", "3").stdout.split())
    assert f"{said}. Start one that does: agent-tasks worker --queues nowhere" in run("signal", id, "any").stdout
    (wrong,) = [line for line in run("doctor").stdout.splitlines() if line.startswith("wrong")]
    assert "1 pending task of echo.echo" in wrong
    assert said in wrong
    fleet.client.get(id).cancel()


def test_the_traceback_of_a_failed_step_is_shown_and_that_of_none_is_said_to_be_none(fleet: Fleet) -> None:
    failed, well = submit("fails"), submit("echo")
    for id in (failed, well):
        fleet.client.get(id).wait(timeout=30)
    assert "RuntimeError: it fails" in run("status", failed, "--traceback").stdout
    assert json.loads(run("status", "--traceback", "--json", failed).stdout)["traceback"].startswith("Traceback")
    assert "no traceback" in run("status", well, "--traceback").stdout
    assert run("status", failed, "--traceback", "--as", "eve").exit_code == 4


def test_doctor_says_in_one_line_each_what_is_wrong(monkeypatch: pytest.MonkeyPatch, fleet: Fleet) -> None:
    monkeypatch.setenv("AGENT_TASKS_AGENTS", "tests.agents,no.such.module")
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", "redis://:geheim@127.0.0.1:1/0")
    result = run("doctor")
    assert result.exit_code == 1
    assert "geheim" not in result.stdout
    wrong = [line for line in result.stdout.splitlines() if line.startswith("wrong")]
    assert any("redis" in line and "AGENT_TASKS_REDIS_URL" in line for line in wrong)
    assert any("no.such.module" in line for line in wrong)
    assert "Traceback" not in result.output


def test_doctor_says_which_workers_take_bells_from_another_place_than_this_program_rings_at(
    monkeypatch: pytest.MonkeyPatch, fleet: Fleet
) -> None:
    server = fleet.settings.redis_url.rpartition("/")[0]
    monkeypatch.setenv("AGENT_TASKS_BROKER_URL", f"{server}/9")
    wrong = [line for line in run("doctor").stdout.splitlines() if line.startswith("wrong")]
    workers = [row["id"] for row in query(fleet.client, "SELECT id FROM agent_tasks.workers WHERE stopped_at IS NULL")]
    assert len(wrong) == len(workers)
    for line in wrong:
        assert any(f"{worker} takes bells from redis://" in line for worker in workers)
        assert "AGENT_TASKS_BROKER_URL" in line


def test_doctor_sweeps_fails_where_no_sweep_ever_ticked(
    monkeypatch: pytest.MonkeyPatch, server_urls: tuple[str, str]
) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", server_urls[0])
    result = run("doctor", "--sweeps")
    assert result.exit_code == 1
    assert "agent-tasks migrate" in result.stdout
