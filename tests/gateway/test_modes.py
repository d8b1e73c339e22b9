"""Whether a submit waits for the task's end, and what the answer says of that."""

import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.database import query
from tests.eventually import eventually
from tests.gateway import Answer, Caller, Gateway
from tests.processes import Running

MODES = "tests.agents_modes"
LONG_AGO = "UPDATE agent_tasks.tasks SET created_at = created_at - interval '20 s' WHERE id = %s"


@pytest.fixture(scope="module", autouse=True)
def modes(gateway: Gateway) -> Iterator[Running]:
    """A worker with agents that only it has: the gateway knows of them what the worker has registered."""
    worker = gateway.processes.worker(agents=(MODES,), queue="modes")
    yield worker
    worker.kill()


def submit(caller: Caller, agent: str, input: Any, prefer: str | None = None, **more: Any) -> Answer:
    headers = {} if prefer is None else {"Prefer": prefer}
    queue = {"queue": "modes"} if agent in ("at_once", "in_time", "undecided", "newcomer") else {}
    return caller.post("/tasks", {"agent": agent, "input": input, **queue, **more}, headers=headers)


def said(answer: Answer) -> tuple[int, str, str, str | None]:
    """Status, mode, why, and the preference that was followed."""
    body = answer.json()
    return answer.status_code, body["mode"], body["mode_reason"], answer.headers.get("preference-applied")


def waiting_task(caller: Caller, session: str) -> str:
    """The id of the task of a session, once it waits."""

    def found() -> str | None:
        tasks = caller.get("/tasks", params={"session_id": session}).json()["tasks"]
        return tasks[0]["id"] if tasks and tasks[0]["status"] == "waiting" else None

    return eventually(found)


def test_the_end_is_waited_for_as_long_as_the_request_prefers(ana: Caller) -> None:
    ended = submit(ana, "count", {"to": 2}, "wait=30")
    assert said(ended) == (200, "sync", "the request prefers wait=30", "wait=30")
    assert (ended.json()["status"], ended.json()["result"]) == ("completed", 2)
    assert ended.headers["location"] == f"/tasks/{ended.json()['id']}"
    assert "retry-after" not in ended.headers

    late = submit(ana, "approval", {}, "wait=1")
    assert said(late) == (202, "sync", "the request prefers wait=1", "wait=1")
    assert (late.json()["status"], late.headers["retry-after"]) == ("waiting", "1")
    path = late.headers["location"]
    ana.post(f"{path}/signals/approval", {"payload": {"ok": True}})
    assert ana.result(late.json()["id"])["ok"] is True


def test_a_task_that_fails_within_the_wait_is_told_with_its_error(ana: Caller) -> None:
    failed = submit(ana, "fails", {}, mode="sync")
    assert said(failed) == (200, "sync", "the request asks for sync", None)
    body = failed.json()
    assert (body["status"], body["result"], body["error"]["type"]) == ("failed", None, "step_failed")


def test_the_mode_of_the_request_goes_before_its_preference_and_the_agents_own(ana: Caller) -> None:
    assert said(submit(ana, "in_time", {"text": "x"}, mode="async")) == (
        202,
        "async",
        "the request asks for async",
        None,
    )
    assert said(submit(ana, "in_time", {"text": "x"}, "wait=9", mode="async"))[1:] == (
        "async", "the request asks for async", None,
    )  # fmt: skip
    assert said(submit(ana, "at_once", {"text": "x"}, "wait=30", mode="sync")) == (
        200, "sync", "the request asks for sync", "wait=30",
    )  # fmt: skip
    assert said(submit(ana, "in_time", {"text": "x"}, "respond-async")) == (
        202, "async", "the request prefers respond-async", "respond-async",
    )  # fmt: skip


def test_an_agent_says_how_it_is_answered(ana: Caller) -> None:
    assert said(submit(ana, "at_once", {"text": "x"})) == (202, "async", "the agent is declared as async", None)
    answer = submit(ana, "in_time", {"text": "x"})
    assert said(answer) == (200, "sync", "the agent is declared as sync", None)
    assert answer.json()["result"] == "x"


def test_auto_does_not_wait_where_the_input_says_so(ana: Caller) -> None:
    hinted = submit(ana, "undecided", {"text": "Plan it In  The Background, please", "waits": True})
    assert said(hinted) == (202, "async", "auto: the input says 'in the background'", None)
    assert submit(ana, "undecided", {"text": "in the backgrounds"}).status_code == 200


def test_auto_does_not_wait_for_a_large_input_of_an_agent_of_which_nothing_is_known(ana: Caller) -> None:
    large = submit(ana, "newcomer", {"text": "x" * 9000})
    assert said(large)[:2] == (202, "async")
    assert said(large)[2] == "auto: nothing is known of its runs, and the input is large (9,012 bytes)"
    ana.result(large.json()["id"])
    known = submit(ana, "newcomer", {"text": "x" * 9000})
    assert said(known)[:2] == (200, "sync")
    assert said(known)[2].startswith("auto: 95 % of its last ")
    assert submit(ana, "newcomer", {"text": "x"}, "wait=7").headers["preference-applied"] == "wait=7"


def test_auto_does_not_wait_for_an_agent_whose_past_runs_took_long(gateway: Gateway, ana: Caller) -> None:
    for number in range(3):
        task = submit(ana, "several", {"every": False}, session_id=f"past-{number}").json()["id"]
        assert waiting_task(ana, f"past-{number}") == task
        query(gateway.client, LONG_AGO, task)
        ana.post(f"/tasks/{task}/signals/first", {"payload": number})
        ana.result(task)
    answer = submit(ana, "several", {"every": False}, mode="auto")
    status, mode, why, _ = said(answer)
    assert (status, mode) == (202, "async")
    assert why.startswith("auto: ")
    assert why.endswith("more than 10 s")


def test_many_wait_at_once_and_hold_up_nobody(ana: Caller) -> None:
    sessions = [f"crowd-{number}" for number in range(24)]  # more than a gateway has threads
    with ThreadPoolExecutor(len(sessions)) as crowd:
        answers = [crowd.submit(submit, ana, "approval", {}, "wait=60", session_id=one) for one in sessions]
        for session in sessions:
            task = waiting_task(ana, session)
            assert ana.post(f"/tasks/{task}/signals/approval", {"payload": {"ok": True}}).status_code == 200
        assert [answer.result().status_code for answer in answers] == [200] * len(sessions)


def test_a_task_goes_on_when_whoever_waits_for_it_goes_away(gateway: Gateway, ana: Caller) -> None:
    address = urlsplit(gateway.url)
    body = json.dumps({"agent": "approval", "input": {}, "session_id": "left-alone"})
    head = (
        f"POST /tasks HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: {ana.http.headers['authorization']}\r\n"
        f"Prefer: wait=60\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(f"{head}{body}".encode())
        task = waiting_task(ana, "left-alone")
    ana.post(f"/tasks/{task}/signals/approval", {"payload": {"ok": True}})
    assert ana.result(task)["ok"] is True


def test_a_wait_for_a_result_ends_with_the_task_or_in_time(ana: Caller) -> None:
    task = ana.submit("approval", {})
    path = f"/tasks/{task['id']}"
    waited = ana.get(f"{path}/result", headers={"Prefer": "wait=1"})
    assert (waited.status_code, waited.json()["id"], waited.headers["location"]) == (202, task["id"], path)
    with ThreadPoolExecutor(1) as other:
        result = other.submit(ana.get, f"{path}/result", headers={"Prefer": "wait=60"})
        ana.post(f"{path}/signals/approval", {"payload": {"ok": False}})
        assert (result.result().status_code, result.result().json()["ok"]) == (200, False)


def test_a_gateway_that_goes_says_how_the_task_stands_that_is_waited_for(gateway: Gateway) -> None:
    leaving, url = gateway.processes.gateway()
    asked = gateway.caller(url=url)
    with ThreadPoolExecutor(1) as other:
        submitted = other.submit(submit, asked, "approval", {}, "wait=60", session_id="leaving")
        task = waiting_task(asked, "leaving")
        leaving.send(signal.SIGTERM)
        answer = submitted.result()
    assert (answer.status_code, answer.json()["id"], answer.json()["result"]) == (202, task, None)
    assert leaving.wait_for_exit() in (0, -signal.SIGTERM)


def test_a_session_stays_on_the_queue_of_its_last_task_of_the_agent(gateway: Gateway, ana: Caller) -> None:
    def queue_of(agent: str, caller: Caller = ana, **more: Any) -> str:
        return caller.submit(agent, {"to": 0} if agent.startswith("count") else {"value": 1}, **more)["queue"]

    assert queue_of("count", session_id="s", queue="elsewhere") == "elsewhere"
    assert queue_of("count", session_id="s") == "elsewhere"
    assert queue_of("count", session_id="s", queue="further") == "further"
    assert queue_of("count", session_id="s") == "further"
    assert queue_of("echo", session_id="s") == "agents"
    assert queue_of("count", session_id="another") == "agents"
    assert queue_of("count") == "agents"
    ben, stranger = gateway.caller("ben"), gateway.caller("ana", tenant="globex")
    assert [queue_of("count", other, session_id="s") for other in (ben, stranger)] == ["agents", "agents"]
