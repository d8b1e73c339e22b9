"""A2A at several gateways: killed between request and poll, taken in turn, and polled by many clients."""

import itertools
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

pytest.importorskip("a2a", reason="the extra a2a is not installed")

from tests.conftest import Fleet
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Gateway, problem_of
from tests.gateway.a2a import AGENTS, VERSION, A2ACaller, a2a_caller, message

COMPLETED, WAITING = "TASK_STATE_COMPLETED", "TASK_STATE_INPUT_REQUIRED"


@pytest.fixture(scope="module")
def worker(fleet: Fleet) -> Iterator[None]:
    worker = fleet.processes.worker(agents=(AGENTS,), queue="a2a")
    yield
    worker.kill()


@pytest.fixture(scope="module")
def ana(gateway: Gateway, worker: None) -> A2ACaller:
    caller = a2a_caller(gateway)
    caller.call("ListTasks")  # the gateway has loaded what it needs
    return caller


@pytest.fixture(scope="module")
def other(gateway: Gateway, ana: A2ACaller) -> A2ACaller:
    """The same caller at a second gateway."""
    _, url = gateway.processes.gateway()
    caller = a2a_caller(gateway, url=url)
    caller.call("ListTasks")
    return caller


def state(task: dict[str, Any]) -> str:
    return task["status"]["state"]


@pytest.mark.parametrize("moment", ["written", "committed"])
def test_a_message_whose_gateway_is_killed_is_sent_again_and_is_one_task(
    gateway: Gateway, ana: A2ACaller, moment: str
) -> None:
    running, url = gateway.processes.gateway(kill_at=f"commit:{moment}")
    doomed = a2a_caller(gateway, "doomed", url=url)
    doomed.rpc("GetTask", {"id": "loads what kills it"})
    context = uuid.uuid4().hex
    sent = {"message": message({"to": 2}, skill="counter", context=context)}
    with pytest.raises(httpx2.TransportError):
        doomed.rpc("SendMessage", sent)
    assert running.wait_for_exit() == -signal.SIGKILL
    survivor = a2a_caller(gateway, "doomed")
    task = survivor.call("SendMessage", sent)["task"]
    assert state(task) == COMPLETED
    assert [each["id"] for each in survivor.call("ListTasks", {"contextId": context})["tasks"]] == [task["id"]]


def test_an_answer_whose_gateway_is_killed_is_sent_again_and_is_one_signal(gateway: Gateway, ana: A2ACaller) -> None:
    survivor = a2a_caller(gateway, "answers")
    task = survivor.send("tides", skill="drafter")
    running, url = gateway.processes.gateway(kill_at="commit:committed")
    doomed = a2a_caller(gateway, "answers", url=url)
    doomed.rpc("GetTask", {"id": "loads what kills it"})
    sent = {"message": message({"ok": True}, task=task["id"])}
    with pytest.raises(httpx2.TransportError):
        doomed.rpc("SendMessage", sent)
    assert running.wait_for_exit() == -signal.SIGKILL
    assert state(survivor.call("SendMessage", sent)["task"]) == COMPLETED
    events = survivor.caller.get(f"/tasks/{task['id']}/events").json()["events"]
    assert [event["type"] for event in events].count("signalled") == 1


def test_a_gateway_killed_between_request_and_poll_leaves_the_task_to_any_other(
    gateway: Gateway, ana: A2ACaller
) -> None:
    running, url = gateway.processes.gateway()
    task = a2a_caller(gateway, url=url).send({"to": 20}, skill="counter", now=True)
    running.send(signal.SIGKILL)
    assert running.wait_for_exit() == -signal.SIGKILL
    eventually(lambda: state(ana.get(task["id"])) == COMPLETED)


def test_two_gateways_taken_in_turn_are_one_server(ana: A2ACaller, other: A2ACaller) -> None:
    turns = itertools.cycle((ana, other))
    context = uuid.uuid4().hex
    task = next(turns).send("waves", skill="drafter", context=context)
    for _ in range(4):
        assert next(turns).get(task["id"]) == task
    sent = {"message": message({"ok": True}, task=task["id"])}
    first, second = (next(turns).call("SendMessage", sent)["task"] for _ in range(2))
    assert first == second
    assert state(first) == COMPLETED
    again = [next(turns).call("SendMessage", {"message": message("x", skill="talk", id="one id")}) for _ in range(4)]
    assert len({answer["task"]["id"] for answer in again}) == 1
    tokens: list[str] = []
    token = ""
    for _ in range(3):
        next(turns).send({"to": 0}, skill="counter", context=context)
    found: list[str] = []
    while True:
        page = next(turns).call("ListTasks", {"contextId": context, "pageSize": 1, "pageToken": token})
        found += [each["id"] for each in page["tasks"]]
        tokens.append(token := page["nextPageToken"])
        if not token:
            break
    assert len(found) == len(set(found)) == 4
    assert found[-1] == task["id"]


def polled(caller: A2ACaller, task: str) -> dict[str, Any] | None:
    """The task; None where the gateway closed the kept connection just as it was used again."""
    try:
        return caller.get(task)
    except httpx2.TransportError:
        return None


@pytest.mark.timeout(240)
@pytest.mark.parametrize("clients", [25, pytest.param(100, marks=pytest.mark.slow)])
def test_many_clients_poll_their_tasks_at_two_gateways_to_their_ends(
    ana: A2ACaller, other: A2ACaller, clients: int
) -> None:
    def client(number: int) -> tuple[str, Any]:
        one, two = (ana, other) if number % 2 else (other, ana)
        task = one.send({"to": number % 5}, skill="counter", now=True)
        turns = itertools.cycle((two, one))
        ended = eventually(
            lambda: seen if (seen := polled(next(turns), task["id"])) and state(seen) == COMPLETED else None, 120
        )
        return ended["id"], ended["artifacts"][0]["parts"][0]["data"]

    with ThreadPoolExecutor(clients) as threads:
        found = list(threads.map(client, range(clients)))
    assert len({id for id, _ in found}) == clients
    assert [result for _, result in found] == [number % 5 for number in range(clients)]


ASKED: dict[str, tuple[str, Any, str]] = {
    "begin": ("SendMessage", lambda task: {"message": message({"to": 0}, skill="counter")}, "tasks:write"),
    "answer": ("SendMessage", lambda task: {"message": message("n", task=task, signal="note")}, "tasks:signal"),
    "get": ("GetTask", lambda task: {"id": task}, "tasks:read"),
    "list": ("ListTasks", lambda task: {}, "tasks:read"),
    "subscribe": ("SubscribeToTask", lambda task: {"id": task}, "tasks:read"),
    "card": ("GetExtendedAgentCard", lambda task: {}, "tasks:read"),
    "cancel": ("CancelTask", lambda task: {"id": task}, "tasks:cancel"),
}
"""By what is done: the method, its params for a task, and the scope that it takes."""
OF_TASK = ("answer", "get", "cancel")


@pytest.fixture(scope="module")
def callers(gateway: Gateway, ana: A2ACaller) -> dict[str, A2ACaller]:
    wide = [*EVERYTHING, "tasks:all"]
    revoked = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    gateway.client.revoke_key(revoked.id)
    return {
        "own": ana,
        "tenant-wide": a2a_caller(gateway, "boss", scopes=wide),
        "admin": a2a_caller(gateway, "root", "ops", scopes=["admin"]),
        "other subject": a2a_caller(gateway, "bob"),
        "other tenant": a2a_caller(gateway, "ana", "evil", scopes=wide),
        "no token": a2a_caller(gateway, None),
        "revoked": a2a_caller(gateway, token=revoked.key),
        **{f"without {scope}": a2a_caller(gateway, scopes=[s for s in wide if s != scope]) for scope in EVERYTHING},
    }


@pytest.mark.parametrize("asked", [name for name in ASKED if name != "subscribe"])
def test_who_may_do_what_over_a2a(ana: A2ACaller, callers: dict[str, A2ACaller], asked: str) -> None:
    method, params, scope = ASKED[asked]
    for who, caller in callers.items():
        task = ana.send("x", skill="drafter")["id"] if asked in OF_TASK else ""
        answer = caller.rpc(method, params(task))
        if who in ("no token", "revoked"):
            problem_of(answer, 401)
        elif who == f"without {scope}":
            assert problem_of(answer, 403)["error"]["details"]["scope"] == scope
        elif who.startswith("other") and asked in OF_TASK:
            assert answer.json()["error"]["code"] == -32001, who
        else:
            assert "result" in answer.json(), (who, answer.text)


def test_a_subscription_is_refused_to_whom_a_look_is(ana: A2ACaller, callers: dict[str, A2ACaller]) -> None:
    task = ana.send("x", skill="drafter")["id"]
    for who, caller in callers.items():
        if who in ("no token", "revoked"):
            problem_of(caller.rpc("SubscribeToTask", {"id": task}), 401)
        elif who == "without tasks:read":
            problem_of(caller.rpc("SubscribeToTask", {"id": task}), 403)
        elif who.startswith("other"):
            assert caller.rpc("SubscribeToTask", {"id": task}).json()["error"]["code"] == -32001


def test_a_gateway_without_authentication_serves_this_machine_alone(gateway: Gateway, ana: A2ACaller) -> None:
    _, url = gateway.processes.gateway(gateway_auth="off")
    trusted = a2a_caller(gateway, None, url=url)
    task = ana.send("x", skill="drafter")
    assert trusted.get(task["id"])["id"] == task["id"]
    card = trusted.caller.get("/.well-known/agent-card.json").json()
    assert "securitySchemes" not in card
    headers = {**VERSION, "Host": "evil.example"}
    problem_of(trusted.caller.post("/a2a", {"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}, headers=headers), 403)
