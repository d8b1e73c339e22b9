"""Answers from outside, at the URL that a step has made: by programs, and by those who may not."""

import base64
import json
import threading
from datetime import datetime
from typing import Any

import httpx2
import pytest

from agent_tasks import HookNotFound
from tests.agents import notes
from tests.database import query
from tests.eventually import eventually
from tests.gateway import Caller, Gateway, problem_of
from tests.gateway.hooks.asked import JSON, PAGE, Asked, sent


def test_a_program_posts_json_and_the_step_has_it(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing")
    answer = anybody.post(asked.path, {"ok": True, "remark": "fine"})
    assert (answer.status_code, answer.json()["delivered"]) == (200, True)
    assert asked.task.result(20) == {"ok": True, "remark": "fine"}


def test_who_answers_is_told_nothing_of_the_task_but_what_became_of_the_answer(asked: Asked, anybody: Caller) -> None:
    bodies: list[dict[str, Any]] = [
        {"json": {"ok": True}}, {"data": {"answer.ok": "true"}, "headers": {"Accept": "*/*"}},
    ]  # fmt: skip
    for body in bodies:
        asked.by("mailing")
        answer = anybody.ask("POST", asked.path, **body)
        assert (answer.status_code, sorted(answer.json())) == (200, ["delivered", "kept"])


def test_what_is_asked_is_json_for_who_accepts_that(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing", expires=3600)
    answer = anybody.get(asked.path, headers=JSON)
    shown = answer.json()
    assert (shown["signal"], shown["agent"], shown["waiting"]) == ("approval", "mailing", True)
    assert shown["goal"] == "Publishes what somebody has approved."
    assert shown["payload_schema"]["title"] == "Verdict"
    assert datetime.fromisoformat(shown["until"]) == asked.token.expires_at
    assert answer.headers["cache-control"] == "no-store"
    assert "folder" not in answer.text


def test_a_payload_that_the_step_refuses_is_422_and_the_task_keeps_waiting(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing")
    problem = problem_of(anybody.post(asked.path, {"ok": "perhaps"}), 422)
    assert "payload.ok" in problem["detail"]
    assert problem["field"] == "payload.ok"
    assert problem_of(anybody.post(asked.path), 422)
    assert asked.status == "waiting"
    assert anybody.post(asked.path, {"ok": False}).status_code == 200
    assert asked.task.result(20)["ok"] is False


def test_a_gateway_without_the_agents_code_asks_and_checks_the_same(
    gateway: Gateway, asked: Asked, anybody: Caller
) -> None:
    _, url = gateway.processes.gateway(agents=())
    bare = gateway.caller(None, url=url)
    asked.by("mailing")
    assert bare.get(asked.path, headers=JSON).json() == anybody.get(asked.path, headers=JSON).json()
    assert "ok: " in problem_of(bare.post(asked.path, {"ok": "perhaps"}), 422)["detail"]
    page = sent(bare, asked.path, bare.get(asked.path, headers=PAGE).text, ok="true", remark="x" * 81)
    assert page.status_code == 422
    assert 'id="f2-error"' in page.text
    assert bare.post(asked.path, {"ok": True}).json()["delivered"]


@pytest.mark.parametrize("header", ["Idempotency-Key", "webhook-id"])
def test_the_same_key_gets_the_first_answer_whatever_came_of_the_task(
    asked: Asked, anybody: Caller, header: str
) -> None:
    asked.by("mailing")
    first = anybody.post(asked.path, {"ok": True}, headers={header: "msg_1"})
    again = anybody.post(asked.path, {"ok": False}, headers={header: "msg_1"})
    assert asked.task.result(20)["ok"] is True
    late = anybody.post(asked.path, {"ok": False}, headers={header: "msg_1"})
    assert [first.json(), first.status_code] == [again.json(), 200] == [late.json(), 200]
    for other in ({header: "msg_2"}, {}):
        problem = problem_of(anybody.post(asked.path, {"ok": True}, headers=other), 410)
        assert problem["error"]["details"] == {"why": "used"}


def test_a_second_use_is_refused_with_when_it_was_used(asked: Asked, anybody: Caller) -> None:
    asked.by("looping")  # once=False
    for message in ("a", "b", "stop"):
        assert anybody.post(asked.path, message).status_code == 200
    assert asked.task.result(20) == ["a", "b", "stop"]
    assert problem_of(anybody.post(asked.path, "more"), 410)["error"]["details"] == {"why": "ended"}


def test_a_hook_that_has_expired_is_gone(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing", expires=0.2)
    eventually(lambda: anybody.get(asked.path, headers=JSON).status_code == 410)
    problem = problem_of(anybody.post(asked.path, {"ok": True}), 410)
    assert problem["error"]["details"] == {"why": "expired"}
    assert "expired at" in problem["detail"]
    assert asked.status == "waiting"


def test_a_hook_of_a_wait_that_timed_out_is_gone(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing", wait=0.2)
    assert asked.task.result(20) is None
    assert problem_of(anybody.post(asked.path, {"ok": True}), 410)["error"]["details"]["why"] == "ended"


def test_a_token_that_was_altered_is_not_found_and_says_nothing_of_the_task(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing")
    head, payload, signature = asked.path.removeprefix("/hooks/").split(".")
    parts = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    forged: list[str] = []
    for place, value in (
        (0, "0" * 32),
        (1, "0" * 32),
        (2, "other"),
        (3, 7),
        (4, 9999999999999),
        (5, 0),
        (6, None if parts[6] else ""),
    ):
        changed = base64.urlsafe_b64encode(json.dumps([*parts[:place], value, *parts[place + 1 :]]).encode())
        forged.append(f"{head}.{changed.decode().rstrip('=')}.{signature}")
    forged += [f"{head}.{payload}.{signature[:-1]}", f"{head}.{payload}.", payload, "x", f"{head}.{payload}.{'A' * 43}"]
    texts = set[str]()
    for token in forged:
        for answer in (anybody.post(f"/hooks/{token}", {"ok": True}), anybody.get(f"/hooks/{token}", headers=JSON)):
            texts.add(problem_of(answer, 404)["detail"])
    assert len(texts) == 1
    assert str(asked.task.id) not in texts.pop()
    assert asked.status == "waiting"


def test_a_token_signed_with_another_deployments_key_is_not_found(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing")
    path = f"/hooks/{asked.token.sign(b'another')}"
    assert problem_of(anybody.post(path, {"ok": True}), 404)["type"] == "urn:agent-tasks:problem:invalid_input"
    with pytest.raises(HookNotFound):
        asked.client.answer_hook(path)


def test_a_token_is_no_bearer_token_and_a_key_opens_no_hook(gateway: Gateway, asked: Asked, anybody: Caller) -> None:
    asked.by("mailing")
    token = asked.path.rpartition("/")[2]
    assert gateway.caller(token=token).get(f"/tasks/{asked.task.id}").status_code == 401
    key = gateway.caller("ana").http.headers["authorization"].removeprefix("Bearer ")
    assert problem_of(anybody.get(f"/hooks/{key}", headers=JSON), 404)
    wrong = gateway.caller(token="at_nobody_nothing")
    assert wrong.post(asked.path, {"ok": True}).status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_who_looks_changes_nothing_and_a_scanner_of_mail_only_looks(asked: Asked, anybody: Caller, method: str) -> None:
    asked.by("mailing")

    def state() -> Any:
        row = query(asked.client, "SELECT * FROM agent_tasks.tasks WHERE id = %s", asked.task.id)
        return row, query(asked.client, "SELECT count(*) AS n FROM agent_tasks.signals, agent_tasks.audit")

    before = state()
    for head in (PAGE, JSON, {"User-Agent": "scanner"}):
        answer = anybody.ask(method, asked.path, headers=head)
        assert answer.status_code == 200
        assert (answer.text == "") is (method == "HEAD")
    assert anybody.ask(method, asked.path + "x").status_code == 404
    assert state() == before


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(asked: Asked, anybody: Caller, method: str) -> None:
    asked.by("mailing")
    answer = anybody.ask(method, asked.path, headers=JSON)
    assert problem_of(answer, 405)["detail"].count("GET")
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_answers_are_audited_in_the_tasks_tenant_and_so_are_refused_ones(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing")
    anybody.post(asked.path, {"ok": "perhaps"})
    anybody.post(asked.path, {"ok": True})
    anybody.post(asked.path, {"ok": True})
    entries = [
        entry for entry in asked.client.audit(tenant="acme", door="hook", limit=50) if entry.task_id == asked.task.id
    ]
    assert [(entry.operation, entry.target, entry.answer) for entry in reversed(entries)] == [
        ("signal", "approval", "invalid_input"), ("signal", "approval", "accepted"),
        ("signal", "approval", "invalid_input"),
    ]  # fmt: skip
    assert {(entry.origin, entry.subject, entry.key_id) for entry in entries} == {("127.0.0.1", None, None)}


def test_hooks_count_towards_the_rate_of_the_tasks_tenant(gateway: Gateway, asked: Asked) -> None:
    _, url = gateway.processes.gateway(gateway_rate="5/hour")
    caller = gateway.caller(None, url=url)
    asked.by("mailing", tenant="limited")
    answers = [caller.get(asked.path, headers=JSON) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert answers[0].headers["ratelimit-policy"] == '"default";q=5;w=3600'
    nonsense = caller.post(asked.path, {"ok": "nonsense"})
    problem_of(nonsense, 422)
    assert '"default";r=0' in nonsense.headers["ratelimit"]
    detail = problem_of(caller.get(asked.path, headers=JSON), 429)["detail"]
    assert detail.startswith("This hook's tenant has used up its 5/hour requests.")
    refused = caller.get(asked.path, headers=PAGE)
    assert (refused.status_code, refused.headers["content-type"]) == (429, "text/html; charset=utf-8")
    assert int(refused.headers["retry-after"]) > 0


def test_answers_of_many_at_once_are_one(asked: Asked, gateway: Gateway) -> None:
    asked.by("mailing")
    callers, barrier, statuses = [gateway.caller(None) for _ in range(8)], threading.Barrier(8), list[int]()

    def answer(caller: Caller) -> None:
        barrier.wait()
        statuses.append(caller.post(asked.path, {"ok": True}).status_code)

    threads = [threading.Thread(target=answer, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[410] * 7]


def test_a_resumed_task_is_answered_at_the_same_url(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing")
    asked.task.cancel()
    assert problem_of(anybody.get(asked.path, headers=JSON), 410)["error"]["details"]["why"] == "ended"
    resumed = asked.task.resume()
    assert anybody.post(asked.path, {"ok": True}).json()["delivered"]
    assert resumed.result(20)["ok"] is True
    assert len(notes(asked.folder)) == 1


def test_a_step_whose_worker_is_killed_mails_once_and_its_url_works(
    gateway: Gateway, asked: Asked, anybody: Caller
) -> None:
    doomed = gateway.processes.worker(queue="doomed", kill_at="mail:returned")
    asked.by("mailing", waits=False, queue="doomed")
    assert doomed.wait_for_exit() < 0
    early = anybody.post(asked.path, {"ok": True}, headers={"webhook-id": "early"})
    assert (early.status_code, early.json()["delivered"]) == (200, False)
    gateway.processes.worker(queue="doomed", ready=False)
    assert asked.task.result(20)["ok"] is True
    assert len(notes(asked.folder)) == 1
    again = anybody.post(asked.path, {"ok": True}, headers={"webhook-id": "early"})
    assert again.json() == early.json()


def test_an_answer_whose_gateway_is_killed_is_sent_again_and_has_one_effect(
    gateway: Gateway, asked: Asked, anybody: Caller
) -> None:
    running, url = gateway.processes.gateway(kill_at="commit:committed")
    asked.by("mailing")
    with pytest.raises(httpx2.TransportError):
        gateway.caller(None, url=url).post(asked.path, {"ok": True}, headers={"webhook-id": "one"})
    assert running.wait_for_exit() < 0
    answer = anybody.post(asked.path, {"ok": False}, headers={"webhook-id": "one"})
    assert (answer.status_code, answer.json()["delivered"]) == (200, True)
    assert asked.task.result(20)["ok"] is True
