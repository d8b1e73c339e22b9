"""Agents that say what they may do, on real workers: calls that are no tools, and callers without a scope."""

import re
from typing import Any

import pytest
from typer.testing import CliRunner

import tests.agents_allowed  # noqa: F401
from agent_tasks import AgentTasks, Identity, PermissionDenied, Settings
from agent_tasks.authoring.agent import _registry  # pyright: ignore[reportPrivateUsage]
from agent_tasks.cli.application import app
from agent_tasks.client.submission import declared
from tests.database import claimed, commit, query
from tests.eventually import eventually
from tests.processes import Processes

AGENTS = ("tests.agents_allowed",)
ANA = Identity(subject="ana", tenant="acme", scopes=("words:read",))
BOB = Identity(subject="bob", tenant="acme")


@pytest.fixture
def worker(processes: Processes) -> Processes:
    processes.worker(agents=AGENTS)
    return processes


@pytest.mark.parametrize("agent", ["guarded", "guarded_plain"])
def test_a_call_that_is_no_tool_is_not_made_and_ends_the_task(
    client: AgentTasks, worker: Processes, agent: str
) -> None:
    denied = client.submit(agent, {"name": "delete"}).wait(timeout=30)
    assert denied.status == "failed"
    assert denied.error is not None
    assert (denied.error.type, denied.error.details["call"]) == ("permission_denied", "delete")
    assert query(client, "SELECT FROM agent_tasks.calls WHERE task_id = %s", denied.id) == []


def test_tools_are_called_by_function_by_name_and_partly(client: AgentTasks, worker: Processes) -> None:
    found = {name: client.submit("guarded", {"name": name}) for name in ("look_up", "fetch", "partly")}
    assert {name: task.result(timeout=30) for name, task in found.items()} == {
        "look_up": "fetched found tides",
        "fetch": "fetched fetched tides",
        "partly": "fetched found tides",
    }
    with pytest.raises(PermissionDenied):
        client.submit("guarded", {"name": "order"}).result(timeout=30)


def test_an_identity_that_lacks_a_scope_is_refused_at_submit_and_nothing_is_kept(client: AgentTasks) -> None:
    for attempt in (
        lambda: client.submit("guarded", {"name": "fetch"}, identity=BOB),
        lambda: client.submit("guarded", {"wrong": "input"}, identity=BOB),
        lambda: client.submit_many("guarded", [{"name": "fetch"}] * 2, identity=BOB),
        lambda: client.submit("guarded", {"name": "fetch"}, identity=BOB, idempotency_key="one"),
        lambda: client.schedule("guarded", {"name": "fetch"}, every=60, identity=BOB),
    ):
        with pytest.raises(PermissionDenied, match="words:read") as caught:
            attempt()
        assert caught.value.details == {"agent": "guarded", "missing": ["words:read"]}
    for table in ("tasks", "schedules", "idempotency_keys"):
        assert query(client, f"SELECT FROM agent_tasks.{table}") == []


def test_a_step_whose_identity_lacks_a_scope_does_not_begin(client: AgentTasks, processes: Processes) -> None:
    task = client.submit("guarded", {"name": "fetch"}, identity=ANA)
    query(client, "UPDATE agent_tasks.tasks SET identity = %s::jsonb WHERE id = %s", BOB.model_dump_json(), task.id)
    processes.worker(agents=AGENTS)
    ended = task.wait(timeout=30)
    assert ended.error is not None
    assert (ended.status, ended.error.type) == ("failed", "permission_denied")
    assert query(client, "SELECT FROM agent_tasks.calls") == query(client, "SELECT FROM agent_tasks.checkpoints") == []


def test_a_child_needs_its_scopes_from_its_parents_identity(client: AgentTasks, worker: Processes) -> None:
    assert client.submit("hires", identity=ANA).result(timeout=30) == ["fetched found tides"]
    assert client.submit("hires").result(timeout=30) == ["fetched found tides"]
    with pytest.raises(PermissionDenied, match="words:read"):
        client.submit("hires", identity=BOB).result(timeout=30)


def test_a_resume_needs_the_scopes_in_the_identity_that_resumes(client: AgentTasks) -> None:
    task = client.submit("guarded", {"name": "fetch"}, identity=ANA)
    task.cancel()
    for options in ({}, {"from_step": 0}):
        with pytest.raises(PermissionDenied, match="words:read"):
            client.get(task.id, identity=ANA.model_copy(update={"scopes": ()})).resume(**options)
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 1
    assert client.get(task.id, identity=ANA).resume().stored().resumed_from == task.id


def test_what_was_done_is_undone_whatever_is_allowed_by_then(client: AgentTasks, processes: Processes) -> None:
    task = client.submit("guarded_undo", {"word": "tides"}, identity=ANA)
    taken = claimed(client, task.id)
    with client.database.connection() as connection:
        commit(connection, taken, "fail", '{"word": "tides"}', undoable=True)
    task.cancel()
    query(client, "UPDATE agent_tasks.tasks SET identity = %s::jsonb WHERE id = %s", BOB.model_dump_json(), task.id)
    processes.worker(agents=AGENTS)
    ended = task.wait(timeout=30)
    assert ended.error is not None
    assert [step["step"] for step in ended.error.details["undone"]] == ["write"]


def test_without_its_code_an_agents_scopes_are_those_that_its_worker_registered(
    client: AgentTasks, worker: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(_registry, "guarded")
    with pytest.raises(PermissionDenied, match="words:read"):
        client.submit("guarded", {"name": "fetch"}, identity=BOB)
    assert client.submit("guarded", {"name": "fetch"}, identity=ANA).result(timeout=30) == "fetched fetched tides"
    assert declared(client.database, "guarded").scopes == ["words:read"]


@pytest.mark.parametrize("loaded", [True, False])
def test_status_and_doctor_show_what_an_agent_is_for_and_what_it_may_do(
    client: AgentTasks, worker: Processes, settings: Settings, monkeypatch: pytest.MonkeyPatch, loaded: bool
) -> None:
    if not loaded:
        monkeypatch.delitem(_registry, "guarded")
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"AGENT_TASKS_{name.upper()}", getattr(settings, name))
    task = client.submit("guarded", {"name": "fetch"}, identity=ANA)
    eventually(lambda: task.snapshot().status.is_terminal)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, arguments)

    shown = run("status", str(task.id)).stdout
    for line in ("goal +Looks words up", "tools +fetch, look_up", "scopes +words:read"):
        assert re.search(line, shown), shown
    printed = " ".join(run("doctor").stdout.split())
    assert "goal Looks words up; tools fetch, look_up; scopes words:read" in printed
    assert ("guarded (not loaded here)" in printed) is not loaded
