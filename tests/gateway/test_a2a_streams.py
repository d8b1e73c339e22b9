"""Streams of A2A: what becomes of a task, in the order of its history, at any gateway."""

import asyncio
import json
import signal
from collections.abc import Generator, Iterator
from typing import Any

import httpx2
import pytest

pytest.importorskip("a2a", reason="the extra a2a is not installed")

from a2a.types import a2a_pb2 as a2a

from tests.conftest import Fleet
from tests.eventually import eventually
from tests.gateway import Gateway, problem_of
from tests.gateway.a2a import AGENTS, BINDINGS, VERSION, A2ACaller, a2a_caller, message, request

WAITING, COMPLETED = "TASK_STATE_INPUT_REQUIRED", "TASK_STATE_COMPLETED"


@pytest.fixture(scope="module")
def ana(fleet: Fleet, gateway: Gateway) -> Iterator[A2ACaller]:
    worker = fleet.processes.worker(agents=(AGENTS,), queue="a2a")
    yield a2a_caller(gateway)
    worker.kill()


def stream(caller: A2ACaller, method: str, params: Any) -> Generator[dict[str, Any]]:
    """The results of a call that streams, as they come."""
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    with caller.caller.http.stream("POST", "/a2a", json=body, headers=VERSION) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
        for line in answer.iter_lines():
            if line.startswith("data:"):
                said = json.loads(line.removeprefix("data:"))
                assert said["id"] == 7
                yield said["result"]


def sends(caller: A2ACaller, *parts: Any, **options: Any) -> Generator[dict[str, Any]]:
    return stream(caller, "SendStreamingMessage", {"message": message(*parts, **options)})


def kinds(updates: list[dict[str, Any]]) -> list[str]:
    """What each update is: a state, an event of the agent's, or an artifact."""
    found: list[str] = []
    for update in updates:
        if "task" in update:
            found.append("task")
        elif "artifactUpdate" in update:
            found.append(update["artifactUpdate"]["artifact"]["artifactId"])
        else:
            said = update["statusUpdate"].get("metadata", {}).get("agent-tasks", {})
            state = update["statusUpdate"]["status"]["state"].removeprefix("TASK_STATE_")
            found.append(said.get("event") or ("progress" if "progress" in said else state))
    return found


def test_a_stream_begins_with_the_task_and_ends_with_its_question(ana: A2ACaller) -> None:
    updates = list(sends(ana, "tides", skill="drafter"))
    first, *rest = kinds(updates)
    assert first == "task"
    assert [kind for kind in rest if kind != "WORKING"] == ["partial", "drafted", "INPUT_REQUIRED"]
    emitted = next(each["statusUpdate"] for each in updates if kinds([each]) == ["drafted"])
    assert emitted["status"]["message"]["parts"][0]["data"] == {"event": "drafted", "data": {"topic": "tides"}}
    asked = updates[-1]["statusUpdate"]["status"]["message"]["parts"][1]["data"]
    assert "schema" in asked["signals"]["approval"]


def test_an_answer_is_streamed_to_the_end_with_the_result_before_the_state(ana: A2ACaller) -> None:
    task = ana.send("winds", skill="drafter")
    updates = list(sends(ana, {"ok": True}, task=task["id"]))
    first, *rest = kinds(updates)
    assert first == "task"
    assert rest[-2:] == ["result", "COMPLETED"]
    last = updates[-2]["artifactUpdate"]
    assert last["lastChunk"] is True
    assert last["artifact"]["parts"][0]["data"] == {"topic": "winds", "ok": True, "remark": ""}


def test_a_stream_of_what_is_over_is_the_task_alone(ana: A2ACaller) -> None:
    sent = {"message": message("x", skill="talk")}
    first = ana.call("SendMessage", sent)["task"]
    assert list(stream(ana, "SendStreamingMessage", sent)) == [{"task": first}]


def test_a_message_that_is_sent_again_streams_what_comes_and_not_what_was(ana: A2ACaller) -> None:
    sent = {"message": message("hail", skill="drafter")}
    task = ana.call("SendMessage", sent)["task"]["id"]
    ana.deployment.pause(task)
    ana.send({"ok": True}, task=task, now=True)
    reader = stream(ana, "SendStreamingMessage", sent)
    assert next(reader)["task"]["status"]["state"] == "TASK_STATE_SUBMITTED"
    ana.deployment.resume_paused(task)
    told = kinds(list(reader))
    assert "INPUT_REQUIRED" not in told
    assert told[-2:] == ["result", "COMPLETED"]


def test_a_failure_ends_a_stream_with_its_reason(ana: A2ACaller) -> None:
    updates = list(sends(ana, "boom", skill="breaker"))
    assert kinds(updates)[-1] == "FAILED"
    assert "boom" in updates[-1]["statusUpdate"]["status"]["message"]["parts"][0]["text"]


def test_a_skill_that_replies_with_a_message_streams_nothing_else(ana: A2ACaller) -> None:
    (only,) = sends(ana, "x", skill="teller")
    assert only["message"]["parts"][0]["data"] == {"told": "x"}


def test_a_subscription_tells_all_readers_the_same(ana: A2ACaller) -> None:
    task = ana.send("rain", skill="drafter")
    readers = [stream(ana, "SubscribeToTask", {"id": task["id"]}) for _ in range(3)]
    assert [next(reader)["task"] for reader in readers] == [task] * 3
    readers.pop().close()
    ana.send({"ok": True}, task=task["id"])
    told = [list(reader) for reader in readers]
    assert told[0] == told[1]
    assert kinds(told[0])[-2:] == ["result", "COMPLETED"]


def test_what_cannot_be_subscribed_to_says_so(gateway: Gateway, ana: A2ACaller) -> None:
    over = ana.send("x", skill="talk")
    assert ana.fails("SubscribeToTask", {"id": over["id"]})["code"] == -32004
    assert ana.rest("GET", f"/tasks/{over['id']}:subscribe").json()["error"]["details"][0]["reason"] == (
        "UNSUPPORTED_OPERATION"
    )
    task = ana.send("fog", skill="drafter")
    bob = a2a_caller(gateway, "bob")
    assert bob.fails("SubscribeToTask", {"id": task["id"]})["code"] == -32001
    problem_of(a2a_caller(gateway, None).rpc("SubscribeToTask", {"id": task["id"]}), 401)
    problem_of(a2a_caller(gateway, scopes=["tasks:read"]).rpc("SendStreamingMessage", {"message": message("x")}), 403)
    assert ana.fails("SendStreamingMessage", {"message": message("x", skill="no such")})["code"] == -32602


def test_a_stream_whose_gateway_is_killed_goes_on_at_another_one(gateway: Gateway, ana: A2ACaller) -> None:
    running, url = gateway.processes.gateway()
    first = a2a_caller(gateway, url=url)
    task = first.send("snow", skill="drafter")
    reader = stream(first, "SubscribeToTask", {"id": task["id"]})
    assert next(reader)["task"]["id"] == task["id"]
    running.send(signal.SIGKILL)
    assert running.wait_for_exit() == -signal.SIGKILL
    again = stream(ana, "SubscribeToTask", {"id": task["id"]})
    assert next(again)["task"] == task
    ana.send({"ok": True}, task=task["id"])
    assert kinds(list(again))[-2:] == ["result", "COMPLETED"]


def test_a_stream_ends_when_its_gateway_is_told_to_stop(gateway: Gateway, ana: A2ACaller) -> None:
    running, url = gateway.processes.gateway()
    task = ana.send("hail", skill="drafter")
    reader = stream(a2a_caller(gateway, url=url), "SubscribeToTask", {"id": task["id"]})
    next(reader)
    running.send(signal.SIGTERM)
    assert list(reader) == []
    assert running.wait_for_exit() == 0


def test_a_message_that_is_waited_for_outlives_who_waits(ana: A2ACaller) -> None:
    context = "gone away"
    body = {"message": message({"text": "x", "seconds": 3}, skill="dawdler", context=context)}
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": body}
    with pytest.raises(httpx2.TimeoutException):
        pytest.fail(ana.caller.post("/a2a", call, headers=VERSION, timeout=1).text)
    (task,) = eventually(lambda: ana.call("ListTasks", {"contextId": context})["tasks"])
    eventually(lambda: ana.get(task["id"])["status"]["state"] == COMPLETED)


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_official_client_streams_and_subscribes(ana: A2ACaller, binding: str) -> None:
    async def flow() -> None:
        async with ana.sdk(binding, streaming=True) as client:
            updates = [each async for each in client.send_message(request("waves", skill="drafter"))]
            task = updates[0].task
            assert task.id
            assert updates[-1].status_update.status.state == a2a.TASK_STATE_INPUT_REQUIRED
            subscription = client.subscribe(a2a.SubscribeToTaskRequest(id=task.id))
            first = await anext(subscription)
            assert first.task.id == task.id
            answered = [each async for each in client.send_message(request({"ok": True}, task=task.id))]
            seen = [each async for each in subscription]
            assert answered[-1].status_update.status.state == a2a.TASK_STATE_COMPLETED
            assert seen[-1] == answered[-1]

    asyncio.run(flow())
