"""Answers from outside, at the URL that a step has made: by programs, by people, and by those who may not."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from standardwebhooks import Webhook

from agent_tasks import AgentTasks, HookNotFound, Identity
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.hooks import read_token
from agent_tasks.task.hook_token import HookToken
from agent_tasks.task.signing import derived
from tests.agents import notes
from tests.conftest import Fleet
from tests.database import query
from tests.eventually import eventually
from tests.gateway import Answer, Caller, Gateway, problem_of
from tests.gateway.raw import Wire

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
SECRET, OTHER = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
SECRETS = f"{OTHER},{SECRET},github=whsec_{base64.b64encode(bytes([3]) * 32).decode()}"


@pytest.fixture(scope="module")
def gateway(fleet: Fleet) -> Iterator[Gateway]:
    running, url = fleet.processes.gateway(hook_secrets=SECRETS)
    fleet.processes.worker(queue="signed", hook_secrets=SECRETS)
    gateway = Gateway(fleet.client, fleet.processes, running, url)
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def anybody(gateway: Gateway) -> Caller:
    """Somebody without a key."""
    return gateway.caller(None)


@pytest.fixture
def asked(gateway: Gateway, tmp_path: Path) -> "Asked":
    return Asked(gateway.client, tmp_path)


class Asked:
    """What was asked of somebody outside."""

    def __init__(self, client: AgentTasks, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.task: TaskHandle
        self.path = ""

    def by(
        self, agent: str, *, waits: bool = True, queue: str | None = None, tenant: str = "acme", **options: Any
    ) -> "Asked":
        """Have this agent ask, and wait for the answer."""
        before = len(notes(self.folder))
        input = {"folder": str(self.folder), **options}
        self.task = self.client.submit(agent, input, identity=Identity(subject="ana", tenant=tenant), queue=queue)
        line = eventually(lambda: notes(self.folder)[before:])[0]
        self.url = line.removeprefix("mail ")
        self.path = urlsplit(self.url).path
        if waits:
            eventually(lambda: self.status not in ("pending", "running"))
        return self

    @property
    def status(self) -> str:
        return self.task.stored().status

    @property
    def token(self) -> HookToken:
        return read_token(self.client, self.url)


def fields(page: str) -> dict[str, str]:
    """The hidden fields of a form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


def sent(caller: Caller, path: str, page: str = "", **values: str) -> Answer:
    """The page after the form was filled in and sent."""
    body = {**fields(page), **{f"answer.{name}" if name else "answer": value for name, value in values.items()}}
    return caller.ask("POST", path, data=body, headers=PAGE)


# --- programs -------------------------------------------------------------------------------------------------


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


# --- those who sign -------------------------------------------------------------------------------------------


def signature(secret: str, body: bytes, id: str = "msg_1", ago: float = 0) -> dict[str, str]:
    """As `standardwebhooks` signs."""
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return {
        "webhook-id": id, "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, at, body.decode()), "Content-Type": "application/json",
    }  # fmt: skip


def test_what_is_signed_is_taken_and_known_by_its_id(asked: Asked, anybody: Caller) -> None:
    asked.by("signed", queue="signed")
    body = b'{"amount":  7}'
    answer = anybody.ask("POST", asked.path, content=body, headers=signature(SECRET, body))
    assert answer.status_code == 200, answer.text
    again = anybody.ask("POST", asked.path, content=b"1", headers=signature(SECRET, b"1"))
    assert again.json() == answer.json()
    payload, signal_id, sender = asked.task.result(20)
    assert (payload, sender) == ({"amount": 7}, None)
    assert signal_id.startswith("hook-")


def test_two_signatures_of_a_secret_that_changes_are_taken_where_one_is_right(asked: Asked, anybody: Caller) -> None:
    asked.by("signed", queue="signed")
    new = f"whsec_{base64.b64encode(b'n' * 32).decode()}"
    head = signature(SECRET, b"1")
    head["webhook-signature"] = f"v1a,xyz {signature(new, b'1')['webhook-signature']} {head['webhook-signature']}"
    assert anybody.ask("POST", asked.path, content=b"1", headers=head).status_code == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"webhook-signature": "v1,AAAA"}, "No signature"),
        ({"webhook-signature": "nonsense"}, "No signature"),
        ({"webhook-id": "msg_2"}, "No signature"),
        ({"webhook-timestamp": "1700000000"}, "No signature"),
        ({"webhook-timestamp": "yesterday"}, "seconds since 1970"),
        ({"webhook-signature": None}, "not at all"),
        ({"webhook-id": None}, "not at all"),
        ({"webhook-timestamp": None}, "not at all"),
    ],
)
def test_what_is_not_signed_as_it_must_be_is_refused(
    asked: Asked, anybody: Caller, change: dict[str, str | None], said: str
) -> None:
    asked.by("signed", queue="signed")
    head = {name: value for name, value in {**signature(SECRET, b"1"), **change}.items() if value is not None}
    problem = problem_of(anybody.ask("POST", asked.path, content=b"1", headers=head), 403)
    assert said in problem["detail"]
    assert asked.status == "waiting"


def test_other_secrets_other_bodies_and_old_times_are_refused(asked: Asked, anybody: Caller) -> None:
    asked.by("signed", queue="signed", verify="standard-webhooks:github")
    refused = [
        (b"1", signature(SECRET, b"1"), "No signature"),
        (b"2", signature("whsec_AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=", b"1"), "No signature"),
    ]
    github = SECRETS.rpartition("=whsec_")[2]
    for ago in (301, -330):
        refused.append((b"1", signature(f"whsec_{github}", b"1", ago=ago), "apart"))
    for body, head, said in refused:
        problem = problem_of(anybody.ask("POST", asked.path, content=body, headers=head), 403)
        assert said in problem["detail"], said
    assert anybody.ask("POST", asked.path, content=b"1", headers=signature(f"whsec_{github}", b"1", ago=290)).is_success


def test_a_form_does_not_get_around_the_signature(asked: Asked, anybody: Caller) -> None:
    asked.by("signed", queue="signed")
    page = anybody.get(asked.path, headers=PAGE)
    assert "for a program" in page.text
    assert "<form" not in page.text
    assert sent(anybody, asked.path, **{"": "1"}).status_code == 403
    assert asked.status == "waiting"


# --- people ---------------------------------------------------------------------------------------------------


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
