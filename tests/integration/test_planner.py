"""The planner on real processes: its sentences word by word, and its tools."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from agent_tasks import AgentTasks, Budget, BudgetExhausted, Identity, InvalidInput
from agent_tasks.bundled.planner.tools import PlannerTools
from tests import planner_sentences as sentences
from tests.conftest import fresh_deployment
from tests.database import query
from tests.documents import blocks
from tests.processes import Processes

ANA, BO = Identity(subject="ana", tenant="acme"), Identity(subject="bo", tenant="acme")


@pytest.fixture(scope="module")
def planner(
    server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentTasks]:
    """A deployment with a worker that has loaded the planner, without a model."""
    with fresh_deployment(server_urls, template) as settings:
        given = settings.model_copy(update={"bundled": ("planner",), "agents": ()})
        with Processes(given, tmp_path_factory.mktemp("planner")) as processes:
            processes.fleet()
            client = AgentTasks(given)
            yield client
            client.close()


def speaker(client: AgentTasks, identity: Identity | None = ANA, session: str | None = None) -> sentences.Ask:
    """Says prompts in a session of its own."""
    in_session = session or str(uuid4())

    def ask(prompt: str) -> str:
        return client.submit("planner", {"prompt": prompt}, identity=identity, session_id=in_session).result(timeout=30)

    return ask


@pytest.mark.parametrize(
    "check",
    [
        sentences.check_async_sentences,
        sentences.check_complex_sentences,
        sentences.check_sync_sentences,
        sentences.check_several_tasks,
        sentences.check_last_task,
    ],
)
def test_each_sentence_is_answered_word_by_word(planner: AgentTasks, check: Any) -> None:
    check(speaker(planner))


def test_an_operation_ends_with_the_typed_result(planner: AgentTasks) -> None:
    text = "The system must answer within 200 ms. Reports should be nice."
    result = planner.submit("planner", {"operation": "parse_requirements", "text": text}).result(timeout=30)
    assert result["operation"] == "parse_requirements"
    assert [(r["id"], r["kind"], r["priority"], r["problem"] is None) for r in result["requirements"]] == [
        ("R1", "non_functional", "must", True),
        ("R2", "functional", "should", False),
    ]
    assert result["model"] is None
    assert "No model wrote this" in result["note"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"operation": "generate_plan"},
        {"operation": "dance", "text": "x"},
        {"operation": "generate_plan", "text": ""},
        {"operation": "generate_plan", "text": " \n"},
        {"operation": "generate_plan", "text": "x", "prompt": "y"},
    ],
)
def test_an_input_that_is_neither_is_refused(planner: AgentTasks, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        planner.submit("planner", given).result(timeout=30)


def test_somebody_elses_task_is_told_of_as_little_as_one_that_is_not_there(planner: AgentTasks) -> None:
    ask = speaker(planner, session="shared")
    (id,) = sentences.task_ids(ask("Submit async: parse requirements for a mill that must grind"))
    other = speaker(planner, BO, session="shared")
    nobody = str(uuid4())
    told = other(f"Get result for task ID {id}")
    assert told.replace(id, "ID") == other(f"Get result for task ID {nobody}").replace(nobody, "ID")
    assert "There is no task" in told
    assert "No task has been submitted in this session" in other("Check status")
    assert "There is no task" in speaker(planner, None)(f"Get result for task ID {id}")


def test_what_a_prompt_submits_belongs_to_who_asked_and_spends_what_the_prompt_had_left(planner: AgentTasks) -> None:
    asked = planner.submit(
        "planner",
        {"prompt": "Submit 2 tasks: parse requirements for A, and B"},
        identity=ANA,
        session_id="books",
        budget=Budget(tokens=1000, steps=10, calls=12),
    )
    ids = sentences.task_ids(asked.result(timeout=30))
    for id in ids:
        task = planner.get(id).snapshot()
        assert task.identity is not None
        assert (task.identity.subject, task.identity.actors) == ("ana", ("planner",))
        assert task.session_id == "books"
        # of the ten steps two are the prompt's own, of the twelve calls those that submit
        assert (task.budget.limit.tokens, task.budget.limit.steps, task.budget.limit.calls) == (500, 4, 5)


@pytest.mark.parametrize("budget", [Budget(tokens=1), Budget(usd=1e-9), Budget(steps=3), Budget(calls=3)])
def test_a_prompt_submits_nothing_where_its_budget_has_no_part_for_each(planner: AgentTasks, budget: Budget) -> None:
    (resource,) = (name for name, limit in budget.as_dict().items() if limit is not None)
    asked = planner.submit(
        "planner",
        {"prompt": "Submit 2 tasks: parse requirements for A, and B"},
        identity=ANA,
        session_id=f"no {resource} for each",
        budget=budget,
    )
    with pytest.raises(BudgetExhausted, match=f"no {resource} left for 2 tasks"):
        asked.result(timeout=30)
    found = planner.search(session_id=f"no {resource} for each", identity=ANA)
    assert [task.id for task in found.tasks] == [asked.id]


def test_the_tools_answer_in_the_words_of_each_state(planner: AgentTasks) -> None:
    tools = PlannerTools(planner, identity=ANA)
    (id,) = sentences.task_ids(tools.submit_plan_validation("1. design 2. build"))
    assert planner.get(id).wait(timeout=30).status == "completed"
    assert tools.get_task_result(id).startswith("Task Completed! Result: # ")
    assert "is no task ID" in tools.get_task_result("17")
    unserved = planner.submit("planner", {"operation": "validate_plan", "text": "x"}, queue="nobody", identity=ANA)
    assert tools.get_task_result(str(unserved.id)).startswith("Task Pending: ")
    assert "queued" in tools.get_task_result(str(unserved.id))
    unserved.cancel("not wanted")
    assert tools.get_task_result(str(unserved.id)).startswith("Task Cancelled: ")
    failed = planner.submit("planner", {"operation": "validate_plan", "text": "?"}, identity=ANA)
    assert failed.wait(timeout=30).status == "failed"
    said = tools.get_task_result(str(failed.id))
    assert said.startswith("Task Failed: The text is empty")
    assert "To retry, change" in said


def test_an_id_whose_result_has_been_removed_is_said_to_have_expired(planner: AgentTasks) -> None:
    old = UUID(int=(0x0198C2F47C1A << 80) | (7 << 76) | (2 << 62) | 1)
    assert "has expired: results are kept for an hour" in PlannerTools(planner).get_task_result(str(old))
    for late in ("ffffffff-ffff-7fff-bfff-ffffffffffff", "e677d21f-dbff-7fff-bfff-ffffffffffff"):
        assert f"There is no task {late}" in PlannerTools(planner).get_task_result(late)
    task = planner.submit("planner", {"operation": "validate_plan", "text": "1. a 2. b"})
    task.wait(timeout=30)
    (row,) = query(planner, "SELECT retention_seconds FROM agent_tasks.tasks WHERE id = %s", task.id)
    assert row["retention_seconds"] == timedelta(hours=1).total_seconds()


def test_over_http_a_submit_waits_or_not_by_the_same_rule(planner: AgentTasks, tmp_path: Path) -> None:
    with Processes(planner.settings, tmp_path) as processes, httpx2.Client(timeout=30) as http:
        _, url = processes.gateway(gateway_auth="off")

        def post(**body: Any) -> Any:
            return http.post(f"{url}/tasks", json={"agent": "planner", "session_id": "http", **body})

        def ask(prompt: str) -> str:
            answer = post(input={"prompt": prompt}, mode="sync")
            assert answer.status_code == 200
            return answer.json()["result"]

        short = post(input={"operation": "validate_plan", "text": "1. design 2. build"})
        assert short.status_code == 200
        assert short.json()["result"]["verdict"] == "not_ready"
        long = post(input={"operation": "generate_plan", "text": "A comprehensive plan for a CRM"})
        assert (long.status_code, long.json()["mode"]) == (202, "async")
        assert long.json()["mode_reason"] == "auto: the input says 'comprehensive'"
        sentences.check_sync_sentences(ask)
        sentences.check_several_tasks(ask)
        sentences.check_last_task(ask)


def run(client: AgentTasks, folder: Path, *arguments: str) -> str:
    """What a program of the deployment prints."""
    environment = Processes(client.settings, folder).environment()
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_the_commands_of_the_documentation_print_the_result(planner: AgentTasks, tmp_path: Path) -> None:
    (shown,) = blocks("docs/planner.md", "console")
    commands = [line.removeprefix("$ agent-tasks ") for line in shown.splitlines() if " submit " in line]
    plan, requirements = (run(planner, tmp_path, "-m", "agent_tasks.cli", *shlex.split(line)) for line in commands)
    assert json.loads(plan.partition("\n")[2])["operation"] == "generate_plan"
    assert "Customers must pay by card." in requirements


def test_the_tools_of_the_documentation_answer(planner: AgentTasks, tmp_path: Path) -> None:
    (code,) = blocks("docs/planner.md", "python")
    said = run(planner, tmp_path, "-c", code)
    assert "Task Pending" in said or "Task Processing" in said or "Task Completed" in said
    assert "Task ID: " in said


def test_over_agentcore_each_sentence_is_answered_word_by_word(planner: AgentTasks, tmp_path: Path) -> None:
    with Processes(planner.settings, tmp_path) as processes, httpx2.Client(timeout=30) as http:
        _, url = processes.gateway(agentcore_agent="planner", agentcore_identity="acme/ana")
        session = {"X-Amzn-Bedrock-AgentCore-Runtime-Session-Id": f"session-{uuid4()}"}

        def ask(prompt: str) -> str:
            answer = http.post(f"{url}/invocations", json={"prompt": prompt}, headers=session)
            assert answer.status_code == 200, answer.text
            return answer.json()

        sentences.check_all(ask)
