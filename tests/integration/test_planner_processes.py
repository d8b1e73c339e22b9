"""The planner where processes die and start again, and with a model: several at once, and one that throttles."""

import json
import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from agent_tasks import AgentTasks, Identity, Settings
from agent_tasks.bundled.planner.tools import PlannerTools
from tests import planner_sentences as sentences
from tests.conftest import Fragile
from tests.database import query
from tests.models import Model
from tests.processes import Processes

with_a_model = pytest.mark.skipif(find_spec("pydantic_ai") is None, reason="the extra llm is not installed")
ANA = Identity(subject="ana", tenant="acme")
FINDINGS = {"title": "T", "summary": "Written.", "verdict": "ready"}


@pytest.fixture
def given(settings: Settings) -> Settings:
    return settings.model_copy(update={"bundled": ("planner",), "agents": ("tests.agents_modes",)})


@pytest.fixture
def client(given: Settings) -> Iterator[AgentTasks]:
    client = AgentTasks(given)
    yield client
    client.close()


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """A model that the processes of the test find at its address."""
    with Model() as model:
        for name, value in model.environment.items():
            monkeypatch.setenv(name, value)
        yield model


def speaker(client: AgentTasks) -> sentences.Ask:
    return lambda prompt: client.submit("planner", {"prompt": prompt}, identity=ANA, session_id="s").result(timeout=30)


def test_a_restart_of_everything_between_submit_and_result_loses_nothing(fragile: Fragile, tmp_path: Path) -> None:
    """All processes, Postgres and Valkey."""
    given = fragile.settings.model_copy(update={"bundled": ("planner",), "agents": ("tests.agents_modes",)})
    client = fragile.client
    ask = speaker(client)
    with Processes(given, tmp_path) as processes:
        processes.fleet()
        (id,) = sentences.task_ids(ask("Submit async: parse requirements for a mill that must grind"))
        client.get(id).wait(timeout=30)
    waiting = client.submit(
        "planner",
        {"prompt": "Submit async: parse requirements for a boat that must float"},
        identity=ANA,
        session_id="s",
    )
    for server in (fragile.servers.postgres, fragile.servers.valkey):
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.start()
    with Processes(given, tmp_path) as processes:
        processes.fleet()
        (later,) = sentences.task_ids(waiting.result(timeout=30))
        assert "must grind" in sentences.result_by(ask, f"Get result for task ID {id}")
        assert "must float" in sentences.result_by(ask, "Check status")
        assert ask("Check status").startswith(f"Task ID: {later}.")


def test_a_worker_that_dies_between_submits_and_their_record_has_submitted_each_once(
    given: Settings, client: AgentTasks, tmp_path: Path
) -> None:
    def others() -> set[str]:
        rows = query(client, "SELECT id FROM agent_tasks.tasks WHERE id <> %s", asked.id)
        return {str(row["id"]) for row in rows}

    with Processes(given, tmp_path) as processes:
        (doomed,) = processes.fleet(kill_at="respond:committed", quantum_seconds=0)
        asked = client.submit("planner", {"prompt": "Submit 3 tasks: parse requirements for A, B, and C"})
        doomed.wait_for_exit()
        (first,) = others()
        assert not client.get(asked.id).snapshot().status.is_terminal
        processes.worker()
        ids = sentences.task_ids(asked.result(timeout=30))
        assert ids[0] == first
        assert others() == set(ids)
        assert len(ids) == 3


@with_a_model
def test_four_submitted_together_are_worked_on_together(
    given: Settings, client: AgentTasks, model: Model, tmp_path: Path
) -> None:
    """The model answers nobody before all four have asked it."""
    model.answer(json.dumps(FINDINGS), together=4)
    with Processes(given, tmp_path) as processes:
        processes.worker(model="openai-chat:planning")
        tools = PlannerTools(client)
        ids = [sentences.task_ids(tools.submit_plan_validation(f"1. a 2. b {n}"))[0] for n in range(4)]
        results = [client.get(id).result(timeout=60) for id in ids]
    assert [result["model"] for result in results] == ["openai-chat:planning"] * 4


@with_a_model
def test_a_model_that_throttles_is_asked_again_after_the_time_it_names(
    given: Settings, client: AgentTasks, model: Model, tmp_path: Path
) -> None:
    model.refuse(429, {"Retry-After": "1", "Retry-After-Ms": "10"}, times=4)  # three tries of its client, then one more
    model.answer(json.dumps(FINDINGS))
    with Processes(given, tmp_path) as processes:
        processes.fleet(model="openai-chat:planning")
        task = client.submit("planner", {"operation": "validate_plan", "text": "1. a 2. b"})
        result = task.result(timeout=60)
    assert result["summary"] == "Written."
    assert model.asked == 5
    (retried,) = [event for event in task.events() if event.type == "retried"]
    assert "did not answer" in str(retried.data)
    assert task.snapshot().budget.spent.tokens == 120
