"""Jobs beside the tasks, which keep a runtime busy; and its ping, whatever else keeps the gateway busy."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import agent_tasks
from agent_tasks import Identity, InvalidInput, agentcore
from agent_tasks.sweeps.sweeper import Sweeper
from tests.conftest import Fleet
from tests.database import query
from tests.eventually import eventually
from tests.gateway.runtime import AGENTS, Runtime, new_session, start_runtime

CAL = Identity(subject="cal", tenant="acme")
JOBS = "SELECT id, name, metadata, session_id, subject FROM agent_tasks.agentcore_jobs ORDER BY id"


@pytest.fixture(scope="module")
def runtime(fleet: Fleet) -> Iterator[Runtime]:
    worker = fleet.processes.worker(agents=(AGENTS,), queue="agentcore")
    runtime = start_runtime(fleet.client, fleet.processes, agentcore_mode="acknowledge", agentcore_identity="acme/cal")
    yield runtime
    runtime.http.close()
    worker.kill()


@pytest.fixture(autouse=True)
def here(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """This program's own deployment is the runtime's."""
    monkeypatch.setattr(agent_tasks, "_default", runtime.client)


def test_a_job_keeps_the_runtime_busy_until_it_is_completed(runtime: Runtime) -> None:
    runtime.becomes("Healthy")
    first, second = agentcore.add_async_task("indexing", {"file": "data.csv"}), agentcore.add_async_task("indexing")
    assert type(first) is int
    assert first != second
    since = runtime.becomes("HealthyBusy")
    assert [(job["name"], job["metadata"]) for job in query(runtime.client, JOBS)] == [
        ("indexing", {"file": "data.csv"}),
        ("indexing", None),
    ]
    assert agentcore.complete_async_task(first) is True
    assert agentcore.complete_async_task(first) is False
    assert runtime.ping() == ("HealthyBusy", since)
    assert agentcore.complete_async_task(second) is True
    runtime.becomes("Healthy")


def test_a_job_of_a_step_keeps_its_session_busy_after_a_restart_of_the_gateway(fleet: Fleet, runtime: Runtime) -> None:
    runtime.becomes("Healthy")
    session = new_session()
    job = runtime.client.submit("job_adder", {"metadata": {"n": 1}}, identity=CAL, session_id=session).result(20)
    (kept,) = query(runtime.client, JOBS)
    assert kept == {"id": job, "name": "a job", "metadata": {"n": 1}, "session_id": session, "subject": "cal"}
    assert runtime.becomes("HealthyBusy")
    assert runtime.invoke({"payload": 1}, session).status_code == 409
    again = start_runtime(fleet.client, fleet.processes, agentcore_mode="acknowledge", agentcore_identity="acme/cal")
    assert again.ping() == runtime.ping()
    assert again.invoke({"payload": 1}, session).status_code == 409
    assert runtime.client.submit("job_ender", {"job": job}).result(20) is True
    runtime.becomes("Healthy")
    again.end(again.start(session, waits=True))
    again.running.kill()


def test_a_job_of_somebody_elses_task_keeps_this_runtime_no_busier(runtime: Runtime) -> None:
    runtime.becomes("Healthy")
    job = runtime.client.submit("job_adder", identity=Identity(subject="dan", tenant="other")).result(20)
    session = new_session()
    task = runtime.start(session, payload=1)
    runtime.task(task).wait(20)
    runtime.becomes("Healthy")
    agentcore.complete_async_task(job)


LEFT_BEHIND = """
    INSERT INTO agent_tasks.agentcore_jobs (name, task_id, step_number, run, tenant, subject, session_id)
    VALUES ('of a worker that was killed', %s, 0, 1, 'acme', 'cal', %s)
"""


def test_a_job_that_nobody_will_complete_since_its_task_was_cancelled_keeps_nobody_busy(runtime: Runtime) -> None:
    session = new_session()
    id = runtime.start(session, waits=True)
    query(runtime.client, LEFT_BEHIND, id, session)
    runtime.waiting(id).cancel()
    runtime.becomes("Healthy")
    assert runtime.invoke({"payload": 1}, session).json()["status"] == "cancelled"
    next_one = runtime.start(session, payload=1)
    runtime.task(next_one).wait(20)
    query(runtime.client, "DELETE FROM agent_tasks.agentcore_jobs")


def test_a_repeated_step_takes_the_place_of_the_job_that_its_first_try_has_added(runtime: Runtime) -> None:
    job = runtime.client.submit("job_adder", {"fails": True}).result(20)
    assert [kept["id"] for kept in query(runtime.client, JOBS)] == [job]
    agentcore.complete_async_task(job)


def test_an_async_function_can_be_a_job(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "busy").touch()
    task = runtime.client.submit("job_runner", {"folder": str(tmp_path)})
    eventually(lambda: [job["name"] for job in query(runtime.client, JOBS)] == ["until_gone"])
    (tmp_path / "busy").unlink()
    assert task.result(20) == "done"
    assert query(runtime.client, JOBS) == []


def test_a_job_keeps_nobody_busy_beyond_the_life_of_a_session(runtime: Runtime) -> None:
    job = agentcore.add_async_task("forgotten")
    runtime.becomes("HealthyBusy")
    query(runtime.client, "UPDATE agent_tasks.agentcore_jobs SET started_at = started_at - interval '8 hours'")
    runtime.becomes("Healthy")
    Sweeper(runtime.client).run("retention")
    assert query(runtime.client, JOBS) == []
    assert agentcore.complete_async_task(job) is False


def test_what_is_no_job_is_refused() -> None:
    with pytest.raises(InvalidInput, match="name must have 1 to 256 characters"):
        agentcore.add_async_task("")
    with pytest.raises(InvalidInput, match="metadata must be a dict"):
        agentcore.add_async_task("a job", [1])  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="task_id"):
        agentcore.complete_async_task("7")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="only be applied to async functions"):
        agentcore.async_task(lambda: None)  # type: ignore[arg-type, return-value]


def test_a_ping_is_answered_while_all_threads_and_connections_of_the_gateway_are_taken(runtime: Runtime) -> None:
    """Each request for a task that is locked holds a thread, and a connection or a place in the queue for one."""
    session = new_session()
    task = runtime.start(session, waits=True)
    runtime.waiting(task)
    with ThreadPoolExecutor(40) as crowd:
        with psycopg.connect(runtime.client.settings.database_url) as connection:
            connection.execute(
                "SELECT FROM agent_tasks.agentcore_sessions WHERE id = %s FOR UPDATE", [session]
            ).fetchall()
            asked = [crowd.submit(runtime.invoke, {"payload": 1}, session) for _ in range(40)]
            blocked = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            eventually(lambda: query(runtime.client, blocked)[0]["n"] == runtime.client.settings.pool_size)
            for _ in range(20):
                assert runtime.ping()[0] == "HealthyBusy"
            assert not any(each.done() for each in asked)
        assert {each.result().status_code for each in asked} <= {409, 503}
    runtime.end(task)
