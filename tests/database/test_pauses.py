"""Pauses: no step of what is paused is begun, and it goes on when the pause has ended."""

import json
from itertools import pairwise

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import AgentTasks, InvalidInput, InvalidState, Settings
from agent_tasks.cli.application import app
from agent_tasks.store import pause_look
from agent_tasks.store.errors import ServerAway
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.transitions.move import move
from tests.database import adopt, claimed, claimed_apart, commit, fall_due, parked, query, row_of, submitted
from tests.database.pausing import ANA, BOB, events_of, is_claimed, put_off, swept


def test_a_paused_task_is_not_claimed_and_goes_on_when_the_pause_has_ended(client: AgentTasks) -> None:
    paused, other = submitted(client), submitted(client)
    begun = client.pause(paused, reason="too dear")
    assert (begun.kind, begun.name, begun.reason, begun.ended_at) == ("task", str(paused), "too dear", None)
    assert not is_claimed(client, paused)
    assert is_claimed(client, other)
    ended = client.resume_paused(paused)
    assert ended.id == begun.id
    assert ended.ended_at is not None
    assert is_claimed(client, paused)


@pytest.mark.parametrize("named", [{"agent": "echo"}, {"queue": "there"}, {"tenant": "acme"}])
def test_a_pause_of_an_agent_a_queue_or_a_tenant_holds_for_what_is_of_it(
    client: AgentTasks, named: dict[str, str]
) -> None:
    inside = submitted(client, queue="there", identity=ANA)
    client.pause(**named)
    later = submitted(client, queue="there", identity=ANA)
    assert not is_claimed(client, inside)
    assert not is_claimed(client, later)
    outside = submitted(client, queue="here", identity=BOB)
    assert is_claimed(client, outside) == ("agent" not in named)
    client.resume_paused(**named)
    assert is_claimed(client, inside)


def test_a_task_of_nobody_is_in_no_paused_tenant(client: AgentTasks) -> None:
    task = submitted(client)
    client.pause(tenant="acme")
    assert is_claimed(client, task)


def test_a_paused_task_takes_all_below_it_along(client: AgentTasks) -> None:
    chain = [submitted(client) for _ in range(6)]
    for above, below in pairwise(chain):
        adopt(client, above, below)
    client.pause(chain[1])
    assert [is_claimed(client, task) for task in chain] == [True, False, False, False, False, False]


def test_of_two_pauses_the_last_to_end_lets_a_task_go_on(client: AgentTasks) -> None:
    task = submitted(client)
    client.pause(task)
    client.pause(agent="echo")
    client.resume_paused(task)
    assert not is_claimed(client, task)
    client.resume_paused(agent="echo")
    assert is_claimed(client, task)


def test_a_suspect_step_is_not_begun_either(client: AgentTasks) -> None:
    task = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET suspect = 1 WHERE id = %s", task)
    client.pause(task)
    assert claimed_apart(client, task) is None
    client.resume_paused(task)
    assert claimed_apart(client, task) is not None


@pytest.mark.parametrize("paused", [False, True])
def test_a_worker_does_not_go_on_in_place_with_a_paused_task(client: AgentTasks, paused: bool) -> None:
    taken = claimed(client)
    if paused:
        client.pause(taken.id)
    with client.database.connection() as connection:
        row = commit(connection, taken, in_place=True)
    stored = row_of(client, taken.id)
    assert (row["status"], stored["status"]) == (("pending", "pending") if paused else ("running", "running"))
    assert (stored["step_number"], stored["attempt"]) == (1, 0 if paused else 1)
    assert (stored["worker"] is None) == paused
    assert events_of(client, taken.id)[-2:] == ["committed", "dispatched" if paused else "claimed"]


def test_a_running_step_commits_while_its_task_is_paused(client: AgentTasks) -> None:
    taken = claimed(client)
    client.pause(taken.id)
    with client.database.connection() as connection:
        assert commit(connection, taken)["status"] == "pending"


def test_what_is_paused_is_not_paused_again_and_what_is_not_does_not_go_on(client: AgentTasks) -> None:
    task = submitted(client)
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(task)
    client.pause(task, reason="first")
    with pytest.raises(InvalidState, match="is paused since"):
        client.pause(task, reason="second")
    assert [pause.reason for pause in client.pauses()] == ["first"]
    client.resume_paused(task)
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(task)
    assert client.pauses() == []
    assert [pause.reason for pause in client.pauses(ended=True)] == ["first"]


def test_a_pause_names_one_thing(client: AgentTasks) -> None:
    task = submitted(client)
    with pytest.raises(InvalidInput, match="nothing was named"):
        client.pause()
    with pytest.raises(InvalidInput, match="two were named"):
        client.pause(task, agent="echo")
    with pytest.raises(InvalidInput, match="two were named"):
        client.resume_paused(queue="there", agent="echo")
    with pytest.raises(InvalidInput):
        client.pause(tenant="")
    with pytest.raises(InvalidInput, match="reason must be text"):
        client.pause(task, reason=7)  # type: ignore[arg-type]
    assert client.pauses(ended=True) == []


def test_a_task_that_has_ended_is_not_paused(client: AgentTasks) -> None:
    task = submitted(client)
    client.get(task).cancel()
    with pytest.raises(InvalidState, match="has ended"):
        client.pause(task)


@pytest.fixture
def _in_force(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's settings, in the environment."""
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="agent-tasks")


@pytest.mark.usefixtures("_in_force")
def test_the_command_line_pauses_and_goes_on(client: AgentTasks) -> None:
    task = submitted(client)
    assert run("pauses").stdout == "Nothing is paused.\n"
    assert run("pause", str(task)[:18], "--reason", "too dear").stdout == f"The task {task} is paused\n"
    shown = [run(*command).stdout for command in (["status", str(task)], ["ps"], ["ls"], ["tree", str(task)])]
    assert ["too dear" in " ".join(text.split()) for text in shown] == [True] * 4
    assert f"task {task}" in run("pauses").stdout
    again = run("pause", str(task))
    assert (again.exit_code, "is paused since" in again.stderr) == (2, True)
    assert run("unpause", str(task)).stdout.startswith(f"The task {task} goes on")
    assert run("unpause", str(task)).exit_code == 2
    narrow = ["--agent", "echo", "--tenant", "acme"]
    assert run("pause", *narrow).stdout == "The agent echo of the tenant acme is paused\n"
    assert run("unpause", *narrow).stdout.startswith("The agent echo of the tenant acme goes on")
    assert run("pause").exit_code == 2
    assert run("pause", "--queue", "a", "--agent", "b").exit_code == 2
    assert json.loads(run("pause", "--queue", "a", "--json").stdout)["kind"] == "queue"
    assert len(run("pauses", "--ended", "--json").stdout.splitlines()) == 3


def test_a_pause_of_other_tasks_keeps_reads_at_the_mirror(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": 1}, identity=ANA)
    seen = task.snapshot()
    client.pause(submitted(client))
    client.pause(agent="other")
    client.pause(agent="echo", identity=BOB)
    client.pause(tenant="other", identity=BOB)
    assert not client.pause_look.may_hold(seen)
    for named in ({"agent": "echo"}, {"queue": "agents"}, {"tenant": "acme"}, {"task": task}):
        client.pause(**named)  # type: ignore[arg-type]
        assert client.pause_look.may_hold(seen)
        client.resume_paused(**named)  # type: ignore[arg-type]
        assert not client.pause_look.may_hold(seen)


def test_where_postgres_is_away_a_look_is_tried_once_a_second(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = client.submit("echo", {"value": 1}).snapshot()
    client.pause_look.forget()
    tries: list[int] = []

    def away() -> None:
        tries.append(1)
        raise ServerAway

    monkeypatch.setattr(pause_look, "_SECONDS", 60.0)
    monkeypatch.setattr(client.database, "connection", away)
    with pytest.raises(ServerAway):
        client.pause_look.may_hold(seen)
    assert not client.pause_look.may_hold(seen)
    assert len(tries) == 1


def test_a_task_that_is_moved_off_a_paused_queue_goes_on_there(client: AgentTasks) -> None:
    pending, taken = submitted(client), claimed(client)
    queue = row_of(client, pending)["queue"]
    with client.database.connection() as connection:
        parked(connection, taken, 60)
    client.pause(queue=queue)
    assert not is_claimed(client, pending)
    fall_due(client, taken.id)
    sweeper = Sweeper(client)
    assert swept(sweeper) == {"pauses": 1}
    with client.database.connection() as connection:
        move(connection, [pending, taken.id], "elsewhere", ring_seconds=60)
    assert put_off(client) == []
    assert swept(sweeper) == {"timers": 1}
    assert is_claimed(client, pending)
    assert is_claimed(client, taken.id)
