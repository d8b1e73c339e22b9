"""A task that began at one door is seen, signalled and cancelled at each of the others: HTTP, MCP, A2A, the console."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("a2a", reason="the extra a2a is not installed")
pytest.importorskip("mcp", reason="the extra mcp is not installed")

from tests.conftest import Fleet
from tests.eventually import eventually
from tests.gateway import Answer, Caller, Gateway, problem_of
from tests.gateway.a2a import AGENTS, VERSION, A2ACaller, a2a_caller, message
from tests.gateway.console.people import Person, person
from tests.gateway.mcp import Host
from tests.gateway.mcp import Stream as McpStream
from tests.gateway.streams import Stream


@dataclass
class Ana:
    """One person, at each door."""

    http: Caller
    mcp: Host
    a2a: A2ACaller
    console: Person


FOLLOWED = 3


@pytest.fixture(scope="module")
def gateway(fleet: Fleet) -> Iterator[Gateway]:
    """One that follows few tasks."""
    running, url = fleet.processes.gateway(gateway_followed_tasks=FOLLOWED)
    gateway = Gateway(fleet.client, fleet.processes, running, url)
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def ana(fleet: Fleet, gateway: Gateway) -> Iterator[Ana]:
    worker = fleet.processes.worker(agents=(AGENTS,), queue="a2a")
    a2a = a2a_caller(gateway)
    yield Ana(gateway.caller(), Host(gateway.url, a2a.token), a2a, person(gateway))
    worker.kill()


BEGINS: dict[str, Callable[[Ana], str]] = {
    "http": lambda ana: ana.http.submit("drafter", {"topic": "rain"})["id"],
    "mcp": lambda ana: ana.mcp.call("drafter", {"topic": "rain"})["taskId"],
    "a2a": lambda ana: ana.a2a.send("rain", skill="drafter")["id"],
}


def waits(ana: Ana, task: str) -> bool:
    return ana.http.get(f"/tasks/{task}").json()["status"] == "waiting"


def by_mcp(ana: Ana, task: str) -> Any:
    (key,) = ana.mcp.get(task)["inputRequests"]
    return ana.mcp.update(task, **{key: {"action": "accept", "content": {"ok": True}}})


def by_console(ana: Ana, task: str) -> Any:
    page = ana.console.sees(f"/tasks/{task}")
    wait = ana.http.get(f"/tasks/{task}").json()["waiting_for"]["wait_id"]
    answer = ana.console.sends(
        f"/tasks/{task}/signal", page, name="approval", wait_id=wait, **{"answer.ok": "true", "decision": "approve"}
    )
    assert answer.status_code == 303, answer.text


SIGNALS: dict[str, Callable[[Ana, str], Any]] = {
    "http": lambda ana, task: ana.http.post(f"/tasks/{task}/signals/approval", {"payload": {"ok": True}}),
    "mcp": by_mcp,
    "a2a": lambda ana, task: ana.a2a.send({"ok": True}, task=task),
    "console": by_console,
}
CANCELS: dict[str, Callable[[Ana, str], Any]] = {
    "http": lambda ana, task: ana.http.post(f"/tasks/{task}/cancel"),
    "mcp": lambda ana, task: ana.mcp.cancel(task),
    "a2a": lambda ana, task: ana.a2a.call("CancelTask", {"id": task}),
    "console": lambda ana, task: ana.console.sends(
        f"/tasks/{task}/cancel", ana.console.sees(f"/tasks/{task}"), reason="not needed"
    ),
}


def seen(ana: Ana, task: str) -> tuple[str, str, str, bool]:
    """The task's state at each door, and whether the console says the same as HTTP."""
    status = ana.http.get(f"/tasks/{task}").json()["status"]
    return (
        status,
        ana.mcp.get(task)["status"],
        ana.a2a.get(task)["status"]["state"],
        status in ana.console.sees(f"/tasks/{task}"),
    )


@pytest.mark.parametrize("signalled", SIGNALS)
@pytest.mark.parametrize("begun", BEGINS)
def test_a_task_is_seen_and_signalled_at_each_door(ana: Ana, begun: str, signalled: str) -> None:
    task = BEGINS[begun](ana)
    eventually(lambda: waits(ana, task))
    assert seen(ana, task) == ("waiting", "input_required", "TASK_STATE_INPUT_REQUIRED", True)
    SIGNALS[signalled](ana, task)
    assert ana.http.result(task)["ok"] is True
    assert seen(ana, task) == ("completed", "completed", "TASK_STATE_COMPLETED", True)
    assert ana.mcp.get(task)["result"]["structuredContent"]["ok"] is True
    assert ana.a2a.get(task)["artifacts"][-1]["parts"][0]["data"]["ok"] is True


@pytest.mark.parametrize("cancelled", CANCELS)
@pytest.mark.parametrize("begun", BEGINS)
def test_a_task_is_cancelled_at_each_door(ana: Ana, begun: str, cancelled: str) -> None:
    task = BEGINS[begun](ana)
    eventually(lambda: waits(ana, task))
    CANCELS[cancelled](ana, task)
    assert seen(ana, task) == ("cancelled", "cancelled", "TASK_STATE_CANCELED", True)


def refused(answer: Answer) -> bool:
    """Whether an answer says that its tenant has too many tasks followed."""
    assert answer.headers["retry-after"] == "5"
    return problem_of(answer, 429)["type"] == "urn:agent-tasks:problem:too_many_followed_tasks"


def test_what_a_tenant_has_followed_is_limited_over_all_doors(gateway: Gateway, ana: Ana) -> None:
    task = BEGINS["http"](ana)
    eventually(lambda: waits(ana, task))
    listener, never = Host(gateway.url, ana.a2a.token), "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77"
    listening = {"notifications": {"taskIds": [task, never]}}
    with McpStream(listener, "subscriptions/listen", listening) as stream:
        assert stream.next()["method"] == "notifications/subscriptions/acknowledged"
        known = len(gateway.client.search(limit=1000).tasks)
        with Stream(gateway.url, task, ana.a2a.token):
            assert refused(ana.http.get(f"/tasks/{task}/events", headers={"Accept": "text/event-stream"}))
            error = ana.mcp.ask("tools/call", {"name": "drafter", "arguments": {"topic": "rain"}})
            assert (error.status_code, error.json()["error"]["code"]) == (429, -32010)
            assert error.headers["retry-after"] == "5"
            waiting = {"message": message("rain", skill="drafter")}
            assert refused(ana.a2a.rpc("SendMessage", waiting))
            assert refused(ana.a2a.rest("POST", "/message:stream", waiting))
            assert refused(ana.a2a.rpc("SubscribeToTask", {"id": task}))
            assert len(gateway.client.search(limit=1000).tasks) == known
            assert ana.http.get(f"/tasks/{task}/events").status_code == 200
            assert ana.a2a.send("rain", skill="drafter", now=True)["id"] != task
            eve = a2a_caller(gateway, "eve", "evil")
            assert eve.send("rain", skill="drafter")["id"] != task
        eventually(lambda: ana.a2a.rpc("SendMessage", waiting).status_code == 200)
        error = ana.mcp.error("subscriptions/listen", listening)
        assert error["status"] == 429
    eventually(lambda: "task" in next(subscribed(ana, task)))


def subscribed(ana: Ana, task: str) -> Iterator[dict[str, Any]]:
    """The answers to a subscription, which is given up after the first."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": task}}
    with ana.http.http.stream("POST", "/a2a", json=body, headers=VERSION) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line.removeprefix("data:"))["result"]
