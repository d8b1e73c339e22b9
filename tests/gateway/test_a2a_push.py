"""Push notifications of A2A: configs that are kept, and what the deliverer sends to them."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("a2a", reason="the extra a2a is not installed")

from a2a.types import a2a_pb2 as a2a

from tests.conftest import Fleet
from tests.database import query
from tests.eventually import eventually
from tests.gateway import Gateway, problem_of
from tests.gateway.a2a import AGENTS, BINDINGS, A2ACaller, a2a_caller, message
from tests.webhooks.receiver import Receiver, receiving


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def ana(fleet: Fleet, gateway: Gateway) -> Iterator[A2ACaller]:
    worker = fleet.processes.worker(agents=(AGENTS,), queue="a2a")
    deliverer = fleet.processes.deliverer()
    _, url = fleet.processes.gateway(webhook_allow=("127.0.0.1",))
    yield a2a_caller(gateway, url=url)
    deliverer.kill()
    worker.kill()


def told(receiver: Receiver, path: str, number: int) -> list[dict[str, Any]]:
    """What an address was told of, once it has been told so often."""
    found = eventually(lambda: at if len(at := receiver.at(path)) >= number else None)
    assert len(found) == number
    for each in found:
        assert each.headers["content-type"] == "application/a2a+json"
        assert each.headers["webhook-signature"].startswith("v1,")
    return [json.loads(each.body)["statusUpdate"] for each in found]


def test_a_config_of_a_message_is_told_of_the_question_and_the_end(ana: A2ACaller, receiver: Receiver) -> None:
    config = {
        "url": f"{receiver.url}/one",
        "token": "known to us",
        "authentication": {"scheme": "Bearer", "credentials": "abc"},
    }
    sent = {
        "message": message("tides", skill="drafter", context="pushed"),
        "configuration": {"taskPushNotificationConfig": config},
    }
    task = ana.call("SendMessage", sent)["task"]
    (asked,) = told(receiver, "/one", 1)
    assert (asked["taskId"], asked["contextId"]) == (task["id"], "pushed")
    assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    ana.send({"ok": True}, task=task["id"])
    _, ended = told(receiver, "/one", 2)
    assert ended["status"]["state"] == "TASK_STATE_COMPLETED"
    assert ended["status"]["timestamp"].endswith("Z")
    for each in receiver.at("/one"):
        assert each.headers["x-a2a-notification-token"] == "known to us"
        assert each.headers["authorization"] == "Bearer abc"


def test_configs_are_created_listed_changed_and_deleted(ana: A2ACaller, receiver: Receiver) -> None:
    task = ana.send("winds", skill="drafter")["id"]
    made = ana.call("CreateTaskPushNotificationConfig", {"taskId": task, "url": f"{receiver.url}/a", "token": "t"})
    assert made["token"] == "t"
    assert made["id"]
    seen = ana.call("GetTaskPushNotificationConfig", {"taskId": task, "id": made["id"]})
    assert seen == {"taskId": task, "id": made["id"], "url": f"{receiver.url}/a"}
    other = {"taskId": task, "id": "mine", "url": f"{receiver.url}/b"}
    assert ana.rest("POST", f"/tasks/{task}/pushNotificationConfigs", other).json() == other
    changed = {**other, "url": f"{receiver.url}/c"}
    assert ana.call("CreateTaskPushNotificationConfig", changed) == changed
    listed = ana.call("ListTaskPushNotificationConfigs", {"taskId": task})["configs"]
    assert sorted(each["url"] for each in listed) == [f"{receiver.url}/a", f"{receiver.url}/c"]
    assert ana.rest("GET", f"/tasks/{task}/pushNotificationConfigs").json()["configs"] == listed
    assert ana.rest("DELETE", f"/tasks/{task}/pushNotificationConfigs/{made['id']}").status_code == 200
    assert ana.fails("GetTaskPushNotificationConfig", {"taskId": task, "id": made["id"]})["code"] == -32001
    ana.send({"ok": True}, task=task)
    (ended,) = told(receiver, "/c", 1)
    assert ended["status"]["state"] == "TASK_STATE_COMPLETED"
    assert receiver.at("/a") == receiver.at("/b") == []
    again = {"taskId": task, "url": f"{receiver.url}/late"}
    assert ana.fails("CreateTaskPushNotificationConfig", again)["code"] == -32004


def test_an_address_that_says_it_is_gone_is_told_no_more_and_others_are(ana: A2ACaller, receiver: Receiver) -> None:
    task = ana.send("rain", skill="asker")["id"]
    receiver.says["/gone"] = [410]
    for path in ("gone", "stays"):
        ana.call("CreateTaskPushNotificationConfig", {"taskId": task, "id": path, "url": f"{receiver.url}/{path}"})
    ana.send("never", task=task, signal="no")
    assert len(told(receiver, "/stays", 1)) == 1
    gone = "SELECT status FROM agent_tasks.deliveries WHERE push_id = 'gone'"
    eventually(lambda: query(ana.deployment, gone) == [{"status": "failed"}])


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://169.254.169.254/latest"},
        {"url": "ftp://a.example/"},
        {"url": ""},
        {"url": "https://a.example/", "token": "two\nlines"},
        {"url": "https://a.example/", "token": "größer"},
        {"url": "https://a.example/", "authentication": {"scheme": "Be arer"}},
        {"url": "https://a.example/", "id": "x" * 300},
    ],
)
def test_an_address_that_cannot_be_told_is_refused(ana: A2ACaller, wrong: dict[str, Any]) -> None:
    task = ana.send("fog", skill="drafter")["id"]
    assert ana.fails("CreateTaskPushNotificationConfig", {"taskId": task, **wrong})["code"] == -32602
    sent = {"message": message("x", skill="talk"), "configuration": {"taskPushNotificationConfig": wrong}}
    assert ana.fails("SendMessage", sent)["code"] == -32602


def test_a_task_has_ten_addresses_at_the_most(ana: A2ACaller, receiver: Receiver) -> None:
    task = ana.send("hail", skill="drafter")["id"]
    for number in range(10):
        ana.call("CreateTaskPushNotificationConfig", {"taskId": task, "id": str(number), "url": f"{receiver.url}/n"})
    ana.call("CreateTaskPushNotificationConfig", {"taskId": task, "id": "9", "url": f"{receiver.url}/m"})
    more = {"taskId": task, "id": "10", "url": f"{receiver.url}/n"}
    assert ana.fails("CreateTaskPushNotificationConfig", more)["code"] == -32602


def test_who_may_not_see_a_task_learns_nothing_of_whom_it_tells(gateway: Gateway, ana: A2ACaller) -> None:
    task = ana.send("snow", skill="drafter")["id"]
    bob, reader = a2a_caller(gateway, "bob", url=ana.url), a2a_caller(gateway, scopes=["tasks:read"], url=ana.url)
    config = {"taskId": task, "id": "x", "url": "https://a.example/"}
    for method, params in (
        ("CreateTaskPushNotificationConfig", config),
        ("GetTaskPushNotificationConfig", {"taskId": task, "id": "x"}),
        ("ListTaskPushNotificationConfigs", {"taskId": task}),
        ("DeleteTaskPushNotificationConfig", {"taskId": task, "id": "x"}),
    ):
        assert bob.fails(method, params)["code"] == -32001, method
        answer = reader.rpc(method, params)
        if method.startswith(("Create", "Delete")):
            problem_of(answer, 403)
    said = [(entry.operation, entry.answer) for entry in ana.deployment.audit(door="a2a", subject="bob", limit=2)]
    assert said == [("remove_push", "invalid_input"), ("put_push", "invalid_input")]


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_official_client_keeps_configs(ana: A2ACaller, receiver: Receiver, binding: str) -> None:
    task = ana.send("dew", skill="drafter")["id"]

    async def flow() -> None:
        async with ana.sdk(binding) as client:
            config = a2a.TaskPushNotificationConfig(task_id=task, id="sdk", url=f"{receiver.url}/{binding}", token="t")
            assert await client.create_task_push_notification_config(config) == config
            named = a2a.GetTaskPushNotificationConfigRequest(task_id=task, id="sdk")
            assert (await client.get_task_push_notification_config(named)).url == config.url
            listed = a2a.ListTaskPushNotificationConfigsRequest(task_id=task)
            assert len((await client.list_task_push_notification_configs(listed)).configs) == 1
            gone = a2a.DeleteTaskPushNotificationConfigRequest(task_id=task, id="sdk")
            await client.delete_task_push_notification_config(gone)
            assert not (await client.list_task_push_notification_configs(listed)).configs

    asyncio.run(flow())
