"""Being told instead of polling: progress of a call, and changes of tasks; and going away."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

pytest.importorskip("mcp")

from agent_tasks import TaskHandle
from agent_tasks.gateway.known_keys import FRESH_SECONDS
from tests.conftest import Fleet
from tests.database import query
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Gateway
from tests.gateway.mcp import LEGACY, Host, Stream

ID = "io.modelcontextprotocol/subscriptionId"


@pytest.fixture
def host(door: Gateway, token: str) -> Host:
    """Whom a stream may close."""
    return Host(door.url, token)


def listening(host: Host, *tasks: str) -> Stream:
    return Stream(host, "subscriptions/listen", {"notifications": {"taskIds": list(tasks)}})


def test_changes_of_a_task_are_told_as_polling_would_have_told_them(ana: Host, host: Host) -> None:
    task = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    with listening(host, task) as stream:
        acknowledged = stream.next()
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        assert acknowledged["params"]["notifications"] == {"taskIds": [task]}
        (told,) = stream.until("input_required")
        (key,) = told["inputRequests"]
        assert told["_meta"] == acknowledged["params"]["_meta"]
        ana.update(task, **{key: {"action": "accept", "content": {"ok": True}}})
        ended = stream.until("completed")[-1]
        seen = ana.get(task)
        assert {k: v for k, v in ended.items() if k != "_meta"} == {
            k: v for k, v in seen.items() if k not in ("_meta", "resultType")
        }
        over = stream.next()["result"]
        assert over["resultType"] == "complete"
        assert over["_meta"][ID] == acknowledged["params"]["_meta"][ID]


def test_tasks_of_others_and_those_that_never_were_are_not_agreed_to(door: Gateway, ana: Host) -> None:
    own = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    bob = Host(door.url, door.client.create_key(tenant="acme", subject="bob", scopes=EVERYTHING).key)
    with listening(bob, own, str(uuid.uuid4()), "no id") as stream:
        assert stream.next()["params"]["notifications"] == {"taskIds": []}
        assert stream.messages.empty()
    ana.cancel(own)


def test_a_client_that_knows_no_tasks_is_told_what_it_lacks(door: Gateway, token: str) -> None:
    plain = Host(door.url, token, capabilities={})
    error = plain.error("subscriptions/listen", {"notifications": {"taskIds": [str(uuid.uuid4())]}})
    assert (error["code"], error["status"]) == (-32021, 400)


def test_too_many_tasks_are_refused(ana: Host) -> None:
    ids = [str(uuid.uuid4()) for _ in range(101)]
    assert ana.error("subscriptions/listen", {"notifications": {"taskIds": ids}})["code"] == -32602


def test_a_stream_ends_with_its_token_and_with_its_gateway(fleet: Fleet, ana: Host) -> None:
    task = ana.call("asking_mcp", {"text": "tides"})["taskId"]
    running, url = fleet.processes.gateway(gateway_keep_alive_seconds=0.2)
    key = fleet.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    with listening(Host(url, key.key), task) as stream:
        assert stream.next()["method"] == "notifications/subscriptions/acknowledged"
        stream.until("input_required")
        fleet.client.revoke_key(key.id)
        assert "result" in stream.next()
    key = fleet.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    with listening(Host(url, key.key), task) as stream:
        assert stream.next()["method"] == "notifications/subscriptions/acknowledged"
        stream.until("input_required")
        running.send(15)
        assert "result" in stream.next()
    assert running.wait_for_exit() == 0
    ana.cancel(task)


@pytest.mark.parametrize("version", ["2026-07-28", LEGACY])
def test_progress_is_told_to_whoever_waits_and_has_asked_for_it(
    door: Gateway, token: str, tmp_path: Path, version: str
) -> None:
    host = Host(door.url, token, capabilities={}, version=version)
    call = {"name": "reporting", "arguments": {"folder": str(tmp_path)}}
    with Stream(host, "tools/call", call, {"progressToken": "mine"}) as stream:
        for part in (1, 2, 3):
            told = stream.next()
            assert told["method"] == "notifications/progress"
            assert told["params"] == {
                "progressToken": "mine",
                "progress": part,
                "total": 3,
                "message": f"part {part}",
            }
            (tmp_path / f"{part}").touch()
        assert stream.next()["result"]["content"][0]["text"] == "3"


def test_progress_is_not_told_to_whoever_has_not_asked_for_it(door: Gateway, token: str, tmp_path: Path) -> None:
    for part in (1, 2, 3):
        (tmp_path / f"{part}").touch()
    host = Host(door.url, token, capabilities={})
    with Stream(host, "tools/call", {"name": "reporting", "arguments": {"folder": str(tmp_path)}}) as stream:
        assert "result" in stream.next()


def waiting_task(door: Gateway, session: str) -> TaskHandle:
    """The task of a session, once it waits."""
    sql = "SELECT id FROM agent_tasks.tasks WHERE session_id = %s AND status = 'waiting'"
    (row,) = eventually(lambda: query(door.client, sql, session) or None)
    return door.client.get(row["id"])


@pytest.mark.parametrize("reset", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_whoever_goes_away_from_a_call_has_cancelled_it(door: Gateway, token: str, reset: bool) -> None:
    """An end of its half of the connection may be one of its requests, and is seen to be all at the next keep-alive."""
    host, session = Host(door.url, token, capabilities={}), uuid.uuid4().hex
    thread = host.in_background("asking_mcp", {"text": "tides"}, {"agent-tasks/session": session})
    task = waiting_task(door, session)
    host.hang_up(reset=reset)
    thread.join(20)
    ended = eventually(lambda: seen if (seen := task.stored()).status.is_terminal else None)
    assert ended.status == "cancelled"
    assert ended.error is not None
    assert ended.error.message == "its caller has gone"
    (entry,) = [e for e in door.client.audit(door="mcp", operation="cancel", limit=50) if e.task_id == task.id]
    assert entry.subject == "ana"


def test_a_call_whose_key_is_revoked_while_it_waits_gets_no_result(door: Gateway) -> None:
    key, session = door.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING), uuid.uuid4().hex
    host, errors = Host(door.url, key.key, capabilities={}), list[int]()
    asked = {"name": "asking_mcp", "arguments": {"text": "tides"}}
    meta = {"agent-tasks/session": session}
    thread = Thread(target=lambda: errors.append(host.ask("tools/call", asked, meta=meta).json()["error"]["code"]))
    thread.start()
    task = waiting_task(door, session)
    eventually(lambda: (datetime.now(UTC) - task.stored().created_at).total_seconds() > FRESH_SECONDS + 0.5)
    door.client.revoke_key(key.id)
    task.signal("approval", {"ok": True})
    assert task.wait(20).status == "completed"
    thread.join(20)
    assert len(errors) == 1


def test_a_call_that_can_be_made_again_by_its_key_goes_on(door: Gateway, ana: Host, token: str) -> None:
    host, session = Host(door.url, token, capabilities={}), uuid.uuid4().hex
    meta = {"agent-tasks/session": session, "agent-tasks/idempotency-key": session}
    thread = host.in_background("asking_mcp", {"text": "tides"}, meta)
    task = waiting_task(door, session)
    host.hang_up()
    thread.join(20)
    again = ana.result("tools/call", {"name": "asking_mcp", "arguments": {"text": "tides"}}, meta=meta)
    assert again["taskId"] == str(task.id)
    assert task.stored().status == "waiting"
    task.signal("approval", {"ok": True})
    assert task.wait(20).status == "completed"


def test_a_call_of_an_older_revision_and_one_without_the_scope_go_on(door: Gateway, token: str) -> None:
    key = door.client.create_key(tenant="acme", subject="ana", scopes=["tasks:write"]).key
    for host in (Host(door.url, token, version=LEGACY), Host(door.url, key, capabilities={})):
        session = uuid.uuid4().hex
        thread = host.in_background("asking_mcp", {"text": "tides"}, {"agent-tasks/session": session})
        task = waiting_task(door, session)
        host.hang_up()
        thread.join(20)
        ping = Host(door.url, token)
        assert ping.ask("tools/list").status_code == 200
        assert task.stored().status == "waiting"
        task.signal("approval", {"ok": True})
        assert task.wait(20).status == "completed"
