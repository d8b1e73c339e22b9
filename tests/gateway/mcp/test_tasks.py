"""Tasks over MCP: polled, answered and cancelled, with keys, times and statuses that are true."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("mcp")

from agent_tasks import Identity
from tests.database import query
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Gateway
from tests.gateway.mcp import Host

NEVER = "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77"
NO_SUCH_TASK = {"code": -32602, "message": "Failed to retrieve task: Task not found", "status": 400}
Post = Callable[..., Any]


def accept(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


def asks(host: Host, task_id: str, but: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What a task asks for, once it asks for something else than `but`."""

    def asked() -> dict[str, Any] | None:
        seen = host.get(task_id)
        return (
            seen["inputRequests"] if seen["status"] == "input_required" and set(seen["inputRequests"]) - but else None
        )

    return eventually(asked)


def ended(host: Host, task_id: str) -> dict[str, Any]:
    return eventually(
        lambda: seen if (seen := host.get(task_id))["status"] not in ("working", "input_required") else None
    )


def test_a_wait_for_a_signal_with_a_schema_asks_for_input(ana: Host) -> None:
    task = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    (request,) = asks(ana, task).values()
    assert request["method"] == "elicitation/create"
    assert request["params"]["mode"] == "form"
    assert request["params"]["message"] == "May this be published?"
    schema = request["params"]["requestedSchema"]
    assert schema["required"] == ["ok"]
    assert schema["properties"]["ok"] == {"title": "Publish it", "type": "boolean"}
    assert schema["properties"]["size"]["enum"] == ["small", "large"]
    assert schema["properties"]["remark"]["type"] == "string"
    (key,) = asks(ana, task)
    assert ana.update(task, **{key: accept(ok=True, size="large")})["resultType"] == "complete"
    assert ended(ana, task)["result"]["structuredContent"] == {"text": "tides"}


def test_an_answer_that_does_not_fit_is_refused_and_may_be_given_again(ana: Host) -> None:
    task = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    (key,) = asks(ana, task)
    for wrong in (
        accept(),
        accept(ok="perhaps"),
        accept(ok=True, size="vast"),
        accept(ok=True, more=1),
        {"action": "x"},
        3,
    ):
        error = ana.error("tasks/update", {"taskId": task, "inputResponses": {key: wrong}})
        assert (error["code"], error["status"]) == (-32602, 400), wrong
    assert set(asks(ana, task)) == {key}
    ana.update(task, **{key: accept(ok=False)})
    assert ended(ana, task)["status"] == "completed"


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_an_answer_that_is_declined_leaves_the_task_asking(ana: Host, action: str) -> None:
    task = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    (key,) = asks(ana, task)
    ana.update(task, **{key: {"action": action}})
    assert set(asks(ana, task)) == {key}
    ana.cancel(task)


def test_part_of_the_answers_leaves_the_task_asking_for_the_others(ana: Host) -> None:
    task = ana.call("asking_mcp", {"text": "tides", "names": ["law", "press"]})["taskId"]
    keys = sorted(asks(ana, task))
    assert len(keys) == 2
    for right, wrong in (keys, keys[::-1]):  # one that is wrong keeps the other back
        given = {right: accept(ok=True), wrong: accept(more=1)}
        assert ana.error("tasks/update", {"taskId": task, "inputResponses": given})["code"] == -32602
        assert sorted(ana.get(task)["inputRequests"]) == keys
    ana.update(task, **{keys[0]: accept(ok=True)})
    assert set(ana.get(task)["inputRequests"]) == {keys[1]}
    ana.update(task, **{keys[0]: accept(ok=False)})
    assert set(ana.get(task)["inputRequests"]) == {keys[1]}
    ana.update(task, **{keys[1]: accept(ok=True), "of nothing": accept(ok=True)})
    assert ended(ana, task)["status"] == "completed"


def test_no_key_is_used_for_two_questions_of_a_task(ana: Host) -> None:
    task = ana.call("asks_twice")["taskId"]
    (first,) = asks(ana, task)
    ana.update(task, **{first: accept(ok=True)})
    (second,) = asks(ana, task, frozenset([first]))
    assert second != first
    ana.update(task, **{first: accept(ok=True)})
    assert set(ana.get(task)["inputRequests"]) == {second}
    ana.update(task, **{second: accept(ok=False)})
    assert ended(ana, task)["result"]["content"][0]["text"] == "[true, false]"


def test_a_wait_for_a_signal_of_any_payload_asks_the_user_for_nothing(door: Gateway, ana: Host) -> None:
    task = ana.call("unasked")
    assert task["status"] == "working"
    assert task["statusMessage"] == "waits for signal arrived"
    door.client.get(task["taskId"]).signal("arrived", 7)
    assert ended(ana, task["taskId"])["result"]["content"][0]["text"] == "7"


def test_a_task_of_a_timer_works(ana: Host) -> None:
    task = ana.call("dozes")
    assert (task["resultType"], task["status"]) == ("task", "working")
    ana.cancel(task["taskId"])
    seen = ana.get(task["taskId"])
    assert seen["status"] == "cancelled"
    assert seen["statusMessage"] == "cancelled by request"
    assert "result" not in seen
    assert "error" not in seen


def test_an_error_of_a_tool_is_completed_and_one_of_the_protocol_failed(ana: Host, door: Gateway) -> None:
    tool, protocol = (
        str(door.client.submit("frozen", {"how": how}, identity=Identity(subject="ana", tenant="acme")).id)
        for how in ("value", "json-rpc")
    )
    seen = ended(ana, tool)
    assert seen["status"] == "completed"
    assert seen["result"]["isError"] is True
    seen = ended(ana, protocol)
    assert seen["status"] == "failed"
    assert seen["error"] == {"code": -32050, "message": "the lake is frozen", "data": {"depth": 3}}
    assert seen["statusMessage"] == "the lake is frozen"
    assert "result" not in seen


def test_the_times_of_a_task_are_true(door: Gateway, ana: Host) -> None:
    task = ana.call("asking_mcp", {"text": "tides"})
    assert task["ttlMs"] is None  # it is kept for as long as it lives
    assert task["pollIntervalMs"] == 1000
    created, waiting = (datetime.fromisoformat(task[name]) for name in ("createdAt", "lastUpdatedAt"))
    assert waiting > created
    (key,) = asks(ana, task["taskId"])
    ana.update(task["taskId"], **{key: accept(ok=True)})
    seen = ended(ana, task["taskId"])
    assert datetime.fromisoformat(seen["lastUpdatedAt"]) > waiting
    assert "pollIntervalMs" not in seen
    kept_for = timedelta(milliseconds=seen["ttlMs"]) - (datetime.fromisoformat(seen["lastUpdatedAt"]) - created)
    assert kept_for == pytest.approx(
        timedelta(seconds=door.client.settings.retention_seconds), abs=timedelta(seconds=1)
    )
    door.client.get(task["taskId"]).acknowledge()
    assert ana.get(task["taskId"])["ttlMs"] < seen["ttlMs"] / 9
    other = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    query(door.client, "UPDATE agent_tasks.tasks SET created_at = now() - interval '1 hour' WHERE id = %s", other)
    door.client.redis.flushall()
    assert ana.get(other)["pollIntervalMs"] == 30_000


def test_updates_and_cancels_after_the_end_are_acknowledged_and_change_nothing(ana: Host) -> None:
    task = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    (key,) = asks(ana, task)
    ana.update(task, **{key: accept(ok=True)})
    before = ended(ana, task)
    assert ana.update(task, **{key: accept(ok=False)})["resultType"] == "complete"
    assert ana.cancel(task)["resultType"] == "complete"
    assert ana.get(task) == before


@pytest.mark.parametrize(
    ("method", "more"), [("tasks/get", {}), ("tasks/cancel", {}), ("tasks/update", {"inputResponses": {"a": accept()}})]
)
def test_a_task_of_others_is_answered_for_as_one_that_never_was(
    door: Gateway, ana: Host, method: str, more: dict[str, Any]
) -> None:
    task = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    strangers = [("bob", "acme"), ("ana", "evil")]
    for subject, tenant in strangers:
        key = door.client.create_key(tenant=tenant, subject=subject, scopes=EVERYTHING).key
        stranger = Host(door.url, key)
        for id in (task, NEVER, str(uuid.uuid4()), "no id at all", "é" * 9):
            headers = {"Mcp-Name": "=?base64?w6nDqcOpw6nDqcOpw6nDqcOp?="} if id.startswith("é") else None
            assert stranger.error(method, {"taskId": id, **more}, headers=headers) == NO_SUCH_TASK
    assert ana.get(task)["status"] == "input_required"
    ana.cancel(task)


def test_a_task_of_http_is_seen_answered_and_cancelled_over_mcp_and_the_other_way_round(
    door: Gateway, ana: Host, token: str
) -> None:
    http = door.caller(token=token)
    by_http = http.submit("asking_mcp", {"text": "winds"})["id"]
    (key,) = asks(ana, by_http)
    ana.update(by_http, **{key: accept(ok=True)})
    assert http.result(by_http) == {"text": "winds"}
    sent = [event for event in http.get(f"/tasks/{by_http}/events").json()["events"] if event["type"] == "signalled"]
    assert sent[0]["data"]["sender"]["subject"] == "ana"

    by_mcp = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    assert http.get(f"/tasks/{by_mcp}").json()["status"] == "waiting"
    assert http.post(f"/tasks/{by_mcp}/signals/approval", {"payload": {"ok": True}}).status_code == 200
    assert ended(ana, by_mcp)["result"]["structuredContent"] == {"text": "tides"}

    by_http, by_mcp = http.submit("asking_mcp", {"text": "a"})["id"], ana.call("asking_mcp", {"text": "b"})["taskId"]
    ana.cancel(by_http)
    assert http.get(f"/tasks/{by_http}").json()["status"] == "cancelled"
    http.post(f"/tasks/{by_mcp}/cancel", {"reason": "no need"})
    assert ana.get(by_mcp)["statusMessage"] == "no need"
