"""A task that began at one door is seen, signalled and cancelled at each of the others: HTTP, MCP, A2A, the console."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("a2a", reason="the extra a2a is not installed")
pytest.importorskip("mcp", reason="the extra mcp is not installed")

from tests.conftest import Fleet
from tests.eventually import eventually
from tests.gateway import Caller, Gateway
from tests.gateway.a2a import AGENTS, A2ACaller, a2a_caller
from tests.gateway.console.people import Person, person
from tests.gateway.mcp import Host


@dataclass
class Ana:
    """One person, at each door."""

    http: Caller
    mcp: Host
    a2a: A2ACaller
    console: Person


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
