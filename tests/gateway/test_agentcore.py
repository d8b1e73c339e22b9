"""The door of AgentCore in the mode `acknowledge`: sessions that work, are asked, and read each result once."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import Identity
from agent_tasks.sweeps.sweeper import Sweeper
from tests.conftest import Fleet
from tests.database import query
from tests.eventually import eventually
from tests.gateway import Gateway
from tests.gateway.runtime import AGENTS, HEADER, Runtime, new_session, start_runtime

HOUR_AGO = """
    UPDATE agent_tasks.tasks SET waiting_for = waiting_for || jsonb_build_object('since', now() - interval '1 hour')
    WHERE id = %s
"""


@pytest.fixture(scope="module")
def runtime(fleet: Fleet) -> Iterator[Runtime]:
    worker = fleet.processes.worker(agents=(AGENTS,), queue="agentcore")
    runtime = start_runtime(fleet.client, fleet.processes, agentcore_mode="acknowledge", agentcore_identity="acme/ana")
    yield runtime
    runtime.http.close()
    worker.kill()


@pytest.fixture(scope="module")
def other(fleet: Fleet, runtime: Runtime) -> Iterator[Runtime]:
    """A second gateway of the same runtime."""
    other = start_runtime(fleet.client, fleet.processes, agentcore_mode="acknowledge", agentcore_identity="acme/ana")
    yield other
    other.http.close()


def read(runtime: Runtime, session: str) -> dict[str, Any]:
    """What the session's next invocation gets, which must be a result."""
    answer = runtime.invoke({"payload": "anything"}, session)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_task_is_acknowledged_at_once_and_keeps_the_runtime_busy_until_it_ends(runtime: Runtime) -> None:
    session = new_session()
    healthy_since = runtime.becomes("Healthy")
    task = runtime.start(session, payload={"plan": "größer"}, waits=True)
    status, busy_since = runtime.ping()
    assert status == "HealthyBusy"
    assert busy_since >= healthy_since
    runtime.waiting(task)
    assert runtime.ping() == ("HealthyBusy", busy_since)
    runtime.end(task)
    healthy_again = runtime.becomes("Healthy")
    assert healthy_again >= busy_since
    assert read(runtime, session) == {
        "task_id": task,
        "session_id": session,
        "status": "completed",
        "result": {"plan": "größer"},
    }
    assert runtime.ping() == ("Healthy", healthy_again)


def test_a_busy_session_refuses_a_second_invocation_and_answers_questions(runtime: Runtime) -> None:
    session = new_session()
    task = runtime.start(session, payload=1, waits=True)
    refused = runtime.invoke({"payload": 2}, session)
    assert refused.status_code == 409
    assert set(refused.json()) == {"error"}
    assert task in refused.json()["error"]
    runtime.waiting(task)
    for asked in (
        {"task_id": task},
        {"action": "status"},
        {"action": "status", "task_id": task},
        {"prompt": "Check status"},
        {"prompt": f"Check status of task {task}"},
        f"Get result for task ID {task}",
    ):
        answer = runtime.invoke(asked, session)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"task_id": task, "session_id": session, "status": "waiting"}
    runtime.end(task)
    assert runtime.invoke({"prompt": "Check status"}, session).json()["result"] == 1
    assert runtime.start(session, payload=3) != task  # what a question was answered with is read


def test_a_result_is_read_once_and_the_next_invocation_starts_anew(runtime: Runtime) -> None:
    session = new_session()
    task = runtime.start(session, payload="first", waits=True)
    runtime.end(task)
    before = query(runtime.client, "SELECT count(*) AS tasks FROM agent_tasks.tasks")
    assert read(runtime, session)["result"] == "first"
    assert query(runtime.client, "SELECT count(*) AS tasks FROM agent_tasks.tasks") == before
    assert runtime.task(task).stored().acknowledged_at is None  # it is kept for as long as any other
    second = runtime.start(session, payload="second")
    assert second != task
    runtime.task(second).wait(20)
    assert runtime.invoke({"task_id": task}, session).json()["result"] == "first"
    assert read(runtime, session)["result"] == "second"


def test_a_failure_is_read_as_a_result_is(runtime: Runtime) -> None:
    session = new_session()
    task = runtime.start(session, raises="no such plan")
    runtime.task(task).wait(20)
    assert read(runtime, session) == {
        "task_id": task,
        "session_id": session,
        "status": "failed",
        "error": "no such plan",
        "error_type": "step_failed",
    }
    assert runtime.start(session) != task


def test_whoever_names_no_session_is_given_one(runtime: Runtime) -> None:
    answer = runtime.invoke({"payload": 1})
    session = answer.json()["session_id"]
    assert answer.headers[HEADER] == session
    assert len(session) >= 33
    runtime.task(answer.json()["task_id"]).wait(20)
    assert read(runtime, session)["result"] == 1


@pytest.mark.parametrize("length", [1, 32, 257])
def test_a_session_id_that_the_platform_would_not_let_through_is_refused(runtime: Runtime, length: int) -> None:
    refused = runtime.invoke({"payload": 1}, "s" * length)
    assert (refused.status_code, set(refused.json())) == (400, {"error"})
    assert f"33 to 256 characters, not {length}" in refused.json()["error"]


@pytest.mark.parametrize("length", [33, 256])
def test_session_ids_of_33_to_256_characters_are_taken(runtime: Runtime, length: int) -> None:
    session = new_session().ljust(length, "x")[:length]
    task = runtime.start(session, payload=length)
    runtime.task(task).wait(20)
    assert read(runtime, session)["result"] == length


def test_a_question_that_nothing_answers_says_so(runtime: Runtime) -> None:
    unknown = runtime.invoke({"prompt": "Check status"}, new_session())
    assert (unknown.status_code, unknown.json()) == (404, {"error": "This session has no task yet."})
    others = runtime.client.submit("count", {"to": 1}, identity=Identity(subject="bob", tenant="acme"))
    hidden = runtime.invoke({"task_id": str(others.id)}, new_session())
    assert (hidden.status_code, set(hidden.json())) == (404, {"error"})
    assert runtime.invoke({"task_id": "no id"}, new_session()).status_code == 404


def test_no_session_reads_another_ones_result(runtime: Runtime) -> None:
    session = new_session()
    task = runtime.start(session, payload="mine")
    runtime.task(task).wait(20)
    hidden = runtime.invoke({"task_id": task}, new_session())
    assert (hidden.status_code, set(hidden.json())) == (404, {"error"})
    assert read(runtime, session)["result"] == "mine"


def test_a_number_of_too_many_digits_is_refused(runtime: Runtime) -> None:
    refused = runtime.invoke(b"1" * 5000, new_session())
    assert (refused.status_code, refused.json()["error"]) == (400, "Invalid JSON")


def test_of_many_invocations_of_a_session_at_once_one_starts_a_task(runtime: Runtime, other: Runtime) -> None:
    for _ in range(3):
        session = new_session()
        with ThreadPoolExecutor(8) as crowd:
            asked = [crowd.submit(each.invoke, {"payload": 1, "waits": True}, session) for each in (runtime, other) * 4]
            answers = [each.result() for each in asked]
        (started,) = [answer.json()["task_id"] for answer in answers if answer.status_code == 200]
        assert [answer.status_code for answer in answers].count(409) == 7
        assert len(runtime.client.search(session_id=session).tasks) == 1
        runtime.end(started)
        with ThreadPoolExecutor(8) as crowd:  # one reads the result, one starts the next, the others meet that
            asked = [crowd.submit(each.invoke, {"payload": 2, "waits": True}, session) for each in (runtime, other) * 4]
            said = sorted(answer.result().json().get("status", "busy") for answer in asked)
        assert said.count("completed") == 1
        assert (said.count("pending"), said.count("busy")) == (1, 6)
        assert len(runtime.client.search(session_id=session).tasks) == 2
        runtime.end(runtime.invoke({"action": "status"}, session).json()["task_id"])


def test_all_gateways_of_a_runtime_say_the_same_of_it(runtime: Runtime, other: Runtime) -> None:
    runtime.becomes("Healthy")
    assert other.becomes("Healthy") == runtime.ping()[1]
    task = runtime.start(new_session(), waits=True)
    since = other.becomes("HealthyBusy")
    assert runtime.ping() == ("HealthyBusy", since)
    runtime.end(task)
    assert other.becomes("Healthy") == runtime.becomes("Healthy")


def test_a_session_whose_task_has_only_waited_for_long_is_idle(runtime: Runtime) -> None:
    runtime.becomes("Healthy")
    session = new_session()
    task = runtime.start(session, payload="long ago", waits=True)
    runtime.waiting(task)
    query(runtime.client, HOUR_AGO, task)
    assert runtime.ping()[0] == "HealthyBusy", "its step has just parked again"
    query(runtime.client, "UPDATE agent_tasks.tasks SET claimed_at = now() - interval '1 hour' WHERE id = %s", task)
    runtime.becomes("Healthy")
    second = runtime.start(session, payload="today", waits=True)
    runtime.end(second)
    runtime.task(task).signal("go")
    runtime.task(task).wait(20)
    assert {read(runtime, session)["result"], read(runtime, session)["result"]} == {"long ago", "today"}


def test_a_session_is_busy_for_its_life_at_most(runtime: Runtime) -> None:
    session = new_session()
    task = runtime.start(session, waits=True)
    runtime.waiting(task)
    aged = "UPDATE agent_tasks.agentcore_sessions SET began_at = began_at - interval '8 hours' WHERE id = %s"
    query(runtime.client, aged, session)
    runtime.becomes("Healthy")
    second = runtime.start(session, waits=True)
    assert runtime.ping()[0] == "HealthyBusy"
    runtime.end(second)
    runtime.end(task)


def test_invocations_are_audited_as_the_runtimes_identity(runtime: Runtime) -> None:
    task = runtime.start(new_session(), payload=1)
    assert runtime.task(task).stored().identity == Identity(subject="ana", tenant="acme")
    (entry,) = runtime.client.audit(task_id=task)
    assert (entry.door, entry.operation, entry.tenant, entry.subject) == ("agentcore", "submit", "acme", "ana")
    assert entry.origin == "127.0.0.1"
    refused = runtime.invoke({"unknown": 1}, new_session())
    assert (refused.status_code, set(refused.json())) == (500, {"error"})
    session = new_session()
    task = runtime.start(session, waits=True)
    assert runtime.invoke({"waits": True}, session).status_code == 409
    busy, started, wrong, _ = runtime.client.audit(door="agentcore", limit=4)
    assert [(entry.operation, entry.answer) for entry in (wrong, started, busy)] == [
        ("submit", "invalid_input"),
        ("submit", "accepted"),
        ("submit", "invalid_input"),
    ]
    assert str(started.task_id) == task
    runtime.end(task)


@pytest.mark.parametrize("doing", ["running", "waiting"])
def test_everything_is_killed_between_an_invocation_and_its_result(fleet: Fleet, tmp_path: Path, doing: str) -> None:
    settings: dict[str, Any] = {"agentcore_mode": "acknowledge", "agentcore_identity": f"acme/{doing}"}
    worker = fleet.processes.worker(agents=(AGENTS,), queue=f"killed-{doing}")
    gateway = start_runtime(fleet.client, fleet.processes, **settings)
    # the session stays on the queue of its last task, which only this test serves
    session, held = new_session(), tmp_path / "held"
    held.touch()
    fleet.client.submit(
        "invoked",
        {"payload": 0},
        queue=f"killed-{doing}",
        session_id=session,
        identity=Identity(subject=doing, tenant="acme"),
    ).wait(20)
    task = gateway.start(session, payload="kept", **({"waits": True} if doing == "waiting" else {"holds": str(held)}))
    busy_since = gateway.becomes("HealthyBusy")
    eventually(lambda: gateway.task(task).stored().status == doing)
    for process in (gateway.running, worker):
        process.kill()
        assert process.wait_for_exit() == -signal.SIGKILL
    again = start_runtime(fleet.client, fleet.processes, **settings)
    assert again.ping() == ("HealthyBusy", busy_since)
    assert again.invoke({"payload": "again"}, session).status_code == 409
    worker = fleet.processes.worker(agents=(AGENTS,), queue=f"killed-{doing}")
    held.unlink()
    if doing == "waiting":
        again.task(task).signal("go")
    again.task(task).wait(30)
    again.becomes("Healthy")
    assert read(again, session)["result"] == "kept"
    again.running.kill()
    worker.kill()


def test_a_result_outlives_the_session_that_has_asked_for_it(runtime: Runtime) -> None:
    session = new_session()
    task = runtime.start(session, payload="of yesterday")
    runtime.task(task).wait(20)
    aged = "UPDATE agent_tasks.agentcore_sessions SET invoked_at = invoked_at - interval '1 day' WHERE id = %s"
    query(runtime.client, aged, session)
    Sweeper(runtime.client).run("retention")
    kept = "SELECT count(*) AS n FROM agent_tasks.agentcore_sessions WHERE id = %s"
    assert query(runtime.client, kept, session) == [{"n": 0}]
    assert read(runtime, session)["result"] == "of yesterday"


def test_the_gateways_other_paths_take_a_token_as_ever(runtime: Runtime, gateway: Gateway) -> None:
    assert runtime.http.get("/tasks").status_code == 401
    assert runtime.http.get("/healthz").status_code == 200
    assert gateway.caller().get("/ping").status_code == 404  # of a gateway that serves no runtime
    eventually(lambda: runtime.ping()[0] == "Healthy")
