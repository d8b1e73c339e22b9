"""Answers from outside: by people, in a form, wherever it is served."""

import re
from typing import Any

import pytest

from agent_tasks.task.signing import derived
from tests.eventually import eventually
from tests.gateway import Caller, Gateway, problem_of
from tests.gateway.hooks.asked import JSON, PAGE, Asked, fields, sent
from tests.gateway.raw import Wire


def test_a_person_is_shown_what_is_asked_and_answers_in_a_form(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing", expires=86_400)
    page = anybody.get(asked.path, headers=PAGE)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for said in (
        "<h1>Approval</h1>", "<strong>mailing</strong>: Publishes what somebody has approved.", "Publish it",
        "Shall the text about the tides be published?", "Your words to the author.", "(optional)", "since ",
    ):  # fmt: skip
        assert said in page.text
    until = asked.token.expires_at
    assert until is not None
    assert f"{until:%-d %B %Y, %H:%M} UTC" in page.text
    done = sent(anybody, asked.path, page.text, ok="true", remark="näh & <b>")
    assert (done.status_code, "Your answer was sent" in done.text) == (200, True)
    assert asked.task.result(20) == {"ok": True, "remark": "näh & <b>"}
    again = sent(anybody, asked.path, page.text, ok="false")  # the button twice, or the page loaded again
    assert (again.status_code, "Your answer was sent" in again.text) == (200, True)
    other = anybody.get(asked.path, headers=PAGE)
    assert other.status_code == 410
    assert "<h1>This was answered already</h1>" in other.text


def test_pages_load_nothing_run_nothing_and_tell_nobody_their_address(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing")
    pages = [anybody.get(path, headers=PAGE) for path in (asked.path, asked.path + "x")]
    pages.append(sent(anybody, asked.path, ok="nonsense"))
    pages.append(sent(anybody, asked.path, ok="true"))
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "script" not in page.text
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
        assert "noindex" in page.headers["x-robots-tag"]
        assert not re.findall(r"\s(?:src|href|style|on\w+)=", page.text)
    assert [page.status_code for page in pages] == [200, 404, 422, 200]


def test_a_form_that_is_filled_in_wrongly_keeps_what_was_typed(asked: Asked, anybody: Caller) -> None:
    asked.by("asking")
    page = anybody.get(asked.path, headers=PAGE).text
    given = {
        "text": 'a "text" & <more>\n', "line": "ok", "whole": "many", "number": "1,5", "sure": "false",
        "size": '"large"', "colour": '"pink"', "day": "someday", "at": "14:30", "moment": "2026-11-29T14:30",
        "address": '{"street": "Quay"', "tags": '["a"]', "maybe": "", "note": "n", "count": "3", "code": "c",
    }  # fmt: skip
    again = sent(anybody, asked.path, page, **given)
    assert again.status_code == 422
    for shown in (
        "a &#34;text&#34; &amp; &lt;more&gt;", 'value="many"', 'value="1,5"', 'value="someday"', 'value="14:30"',
        'value="false" checked', 'value="&#34;large&#34;" checked', 'value="&#34;pink&#34;" selected',
        "{&#34;street&#34;: &#34;Quay&#34;", "Give a whole number", "as 12.5", "as 2026-11-29", "This is not JSON",
    ):  # fmt: skip
        assert shown in again.text, shown
    assert again.text.count('class="error"') == 4
    given |= {"whole": "101", "number": "1.5", "day": "2026-11-29", "address": '{"street": "Quay", "number": 7}'}
    third = sent(anybody, asked.path, again.text, **given)  # what only the model knows
    assert third.status_code == 422
    assert "less than or equal to 100" in third.text
    assert third.text.count('class="error"') == 1
    assert 'value="101"' in third.text
    assert fields(third.text) == fields(page)
    done = sent(anybody, asked.path, third.text, **{**given, "whole": "100"})
    assert done.status_code == 200, done.text
    assert asked.task.result(20) == {
        "text": 'a "text" & <more>\n', "line": "ok", "whole": 100, "number": 1.5, "sure": False, "size": "large",
        "colour": "pink", "day": "2026-11-29", "at": "14:30:00", "moment": "2026-11-29T14:30:00Z",
        "address": {"street": "Quay", "number": 7}, "tags": ["a"], "maybe": None, "note": "n", "count": 3, "code": "c",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "answer", "result"),
    [("anything", '{"any": [1]}', {"any": [1]}), ("anything", "", None), ("yes_or_no", "true", True)],
)
def test_an_answer_that_is_no_object_is_one_field(
    asked: Asked, anybody: Caller, what: str, answer: str, result: Any
) -> None:
    asked.by("asking", what=what)
    page = anybody.get(asked.path, headers=PAGE).text
    assert sent(anybody, asked.path, page, **{"": answer}).status_code == 200
    assert asked.task.result(20) == result


def test_a_page_that_comes_before_the_wait_asks_to_come_again(gateway: Gateway, asked: Asked, anybody: Caller) -> None:
    doomed = gateway.processes.worker(queue="early", kill_at="mail:returned")
    asked.by("mailing", waits=False, queue="early")
    assert doomed.wait_for_exit() < 0
    page = anybody.get(asked.path, headers=PAGE)
    assert "Load this page again in a moment" in page.text
    assert "<form" not in page.text
    assert sent(anybody, asked.path, ok="true").status_code == 422
    gateway.processes.worker(queue="early", ready=False)
    eventually(lambda: "<form" in anybody.get(asked.path, headers=PAGE).text, 20)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"ok": true}', "application/x-www-form-urlencoded", 415),  # what curl -d sends
        (b"answer.ok=%FF%FE", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"answer.x%d=1" % n for n in range(600)), "application/x-www-form-urlencoded", 400),
        (b"answer.ok=true&key=" + b"k" * 300, "application/x-www-form-urlencoded", 400),
        (b"answer.ok=\x00", "application/x-www-form-urlencoded", 422),
        (b"ok=true", "text/plain", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"{", "application/json", 400),
        (b'{"ok": NaN}', "application/json", 400),
        (b'{"ok": true, "ok": true}', "application/json", 400),
        (b'{"ok": "\\u0000"}', "application/json", 400),
        (b'{"ok": "\\ud800"}', "application/json", 400),
        (b"[" * 20_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"x" * 3_000_000, "application/json", 413),
    ],
)
def test_bodies_that_no_well_meaning_client_sends_are_refused(
    asked: Asked, anybody: Caller, gateway: Gateway, body: bytes, kind: str, status: int
) -> None:
    asked.by("mailing")
    for accept in (JSON, PAGE):
        reply = Wire(gateway.url, "none").post(
            asked.path, body, b"Accept: " + accept["Accept"].encode(), kind=kind.encode()
        )
        assert reply.status == status, reply.raw[:500]
        assert (b"application/problem+json" in reply.raw) is (accept is JSON)
        assert b"Traceback" not in reply.raw
    assert asked.status == "waiting"
    assert gateway.running.is_alive


def test_a_client_without_accept_that_sends_a_form_gets_json(asked: Asked, anybody: Caller) -> None:
    asked.by("mailing")
    wrong = anybody.ask("POST", asked.path, data={"answer.ok": "x"}, headers={"Accept": "*/*"})
    assert problem_of(wrong, 422)["error"]["details"]["field"] == "answer.ok"
    answer = anybody.ask("POST", asked.path, data={"answer.ok": "true"}, headers={"Accept": "*/*"})
    assert answer.json()["delivered"] is True


# --- where it is served ---------------------------------------------------------------------------------------


def test_it_works_below_the_path_at_which_a_proxy_serves_it(gateway: Gateway, asked: Asked) -> None:
    _, url = gateway.processes.gateway("--root-path", "/agents/tasks")
    gateway.processes.worker(queue="prefixed", public_url="https://acme.example/agents/tasks/")
    caller = gateway.caller(None, url=url)
    asked.by("mailing", queue="prefixed")
    assert asked.url.startswith("https://acme.example/agents/tasks/hooks/h1.")
    assert asked.client.hook(asked.url).waiting
    path = asked.path.removeprefix("/agents/tasks")  # the proxy takes it away
    page = caller.get(path, headers=PAGE)
    (form,) = re.findall(r"<form[^>]*>", page.text)
    assert "action" not in form  # it goes back to where it came from, wherever that is
    assert sent(caller, path, page.text, ok="true").status_code == 200
    assert asked.task.result(20)["ok"] is True


def test_a_gateway_without_authentication_takes_answers_from_outside(gateway: Gateway, asked: Asked) -> None:
    _, url = gateway.processes.gateway(gateway_auth="off")
    caller = gateway.caller(None, url=url)
    asked.by("mailing")
    head = {"Host": "acme.example", "Origin": "https://mail.example"}
    assert caller.get("/tasks", headers=head).status_code == 403
    assert caller.post(asked.path, {"ok": True}, headers=head).status_code == 200


@pytest.mark.slow
def test_a_page_of_a_gateway_whose_postgres_is_away_says_so(gateway: Gateway, asked: Asked) -> None:
    asked.by("mailing")
    _, url = gateway.processes.gateway(
        database_url="postgresql://postgres:x@127.0.0.1:1/none", secret_key="k", gateway_auth="on"
    )
    path = f"/hooks/{asked.token.sign(hook_key(b'k'))}"
    caller = gateway.caller(None, url=url)
    page = caller.get(path, headers=PAGE)
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert problem_of(caller.get(path, headers=JSON), 503)
    assert "Nothing was sent." in page.text
    answered = sent(caller, path, **{"": "true"})
    assert answered.status_code == 503
    assert "may or may not have arrived. Send it again: it counts once." in answered.text
    assert "Nothing was sent" not in answered.text


def hook_key(key: bytes) -> bytes:
    return derived([key], b"agent-tasks hooks")[0]
