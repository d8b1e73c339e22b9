"""The console as a browser asks for it: signing in, who sees what, levers, and the stream of a page."""

import re
import threading
from time import monotonic
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx2
import pytest

from agent_tasks import Identity
from tests.conftest import fresh_deployment
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Answer, Gateway
from tests.gateway.console.people import ANA, person, wait_id, waiting
from tests.processes import Processes


def test_whoever_has_no_session_is_asked_for_a_key(gateway: Gateway) -> None:
    with httpx2.Client(base_url=gateway.url) as http:
        answer = http.get("/console/tasks?agent=a%20b")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/console/sign-in?next=%2Ftasks%3Fagent%3Da%2520b"
        assert http.get("/console/tasks/live").status_code == 401
        page = http.get(answer.headers["location"]).text
        assert 'value="/tasks?agent=a%20b"' in page
        wrong = http.post("/console/sign-in", data={"key": "at_0000", "next": "/tasks"})
        assert wrong.status_code == 401
        assert "This is no API key" in wrong.text
        assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize("there", ["https://evil.example/", "//evil.example", "/\\evil.example", "/../tasks"])
def test_nobody_is_led_elsewhere_by_signing_in(gateway: Gateway, there: str) -> None:
    key = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING).key
    answer = httpx2.post(f"{gateway.url}/console/sign-in", data={"key": key, "next": there})
    assert answer.headers["location"] == "/console"
    with httpx2.Client(base_url=gateway.url, cookies=answer.cookies) as http:
        assert http.get("/console").status_code == 200


def test_the_cookie_of_a_session_is_for_no_script_and_no_other_site(gateway: Gateway) -> None:
    key = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING).key
    answer = httpx2.post(f"{gateway.url}/console/sign-in", data={"key": key})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/console" in cookie
    assert key not in cookie
    foreign = httpx2.post(f"{gateway.url}/console/sign-in", data={"key": key}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403


def test_a_session_that_was_altered_or_whose_key_was_revoked_is_none(gateway: Gateway) -> None:
    ana = person(gateway)
    session = ana.http.cookies["agent_tasks_session"]
    for altered in (session[:-2], f"{session}x", "s1.e30.none", session.replace(".", "", 1)):
        with httpx2.Client(base_url=gateway.url, cookies={"agent_tasks_session": altered}) as http:
            assert http.get("/console/tasks").status_code == 303
    key = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    http = httpx2.Client(base_url=gateway.url)
    http.post("/console/sign-in", data={"key": key.key})
    assert http.get("/console/tasks").status_code == 200
    gateway.client.revoke_key(key.id)
    eventually(lambda: http.get("/console/tasks").status_code == 303)


def test_signing_out_ends_the_session_also_for_who_has_a_copy_of_it(gateway: Gateway) -> None:
    ana, other = person(gateway), person(gateway)
    copied = httpx2.Client(
        base_url=gateway.url, cookies={"agent_tasks_session": ana.http.cookies["agent_tasks_session"]}
    )
    assert copied.get("/console").status_code == 200
    assert ana.sends("/sign-out", ana.sees()).status_code == 303
    assert ana.http.get("/console").status_code == 303
    eventually(lambda: copied.get("/console").status_code == 303)
    assert other.http.get("/console").status_code == 200


def test_pages_run_nothing_but_our_own_scripts(gateway: Gateway) -> None:
    ana = person(gateway)
    answer = ana.http.get("/console")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert " style=" not in answer.text
    assert not re.search(r"<script(?! src=)", answer.text)
    for name in re.findall(r'(?:src|href)="(/console/static/[^"]+)"', answer.text):
        assert ana.http.get(name).status_code == 200
    assert ana.http.get("/console/static/..%2Fvisit.py").status_code == 404


def test_tasks_of_others_are_not_there(gateway: Gateway) -> None:
    task = waiting(gateway)
    for subject, tenant, scopes in (("bob", "acme", EVERYTHING), ("ana", "evil", [*EVERYTHING, "tasks:all"])):
        other = person(gateway, subject, tenant, scopes)
        assert str(task.id) not in other.sees("/tasks") + other.sees("/inbox")
        for path in ("", "/live"):
            assert other.http.get(f"/console/tasks/{task.id}{path}").status_code == 404
        for lever in ("signal", "cancel", "resume", "acknowledge"):
            assert other.sends(f"/tasks/{task.id}/{lever}", other.sees("/tasks"), name="x").status_code == 404
    boss = person(gateway, "boss", scopes=["tasks:read", "tasks:all"])
    assert str(task.id) in boss.sees("/tasks")
    assert task.read().status == "waiting"


def test_levers_without_their_scope_are_neither_shown_nor_taken(gateway: Gateway) -> None:
    task = waiting(gateway)
    reader = person(gateway, scopes=["tasks:read"])
    page = reader.sees(f"/tasks/{task.id}")
    for lever in ("signal", "cancel"):
        assert f'{task.id}/{lever}"' not in page
        assert reader.sends(f"/tasks/{task.id}/{lever}", page, name="approval").status_code == 403
    nobody = person(gateway, scopes=["tasks:write"])
    assert "tasks:read" in nobody.sees("/tasks", 403)


def test_a_form_without_the_token_of_its_session_changes_nothing(gateway: Gateway) -> None:
    task = waiting(gateway)
    ana, again = person(gateway), person(gateway)
    for page in ("", again.sees(f"/tasks/{task.id}")):
        answer = ana.sends(f"/tasks/{task.id}/cancel", page, reason="forged")
        assert answer.status_code == 403
        assert "another session" in answer.text
    assert task.read().status == "waiting"


def test_a_wait_is_answered_by_the_form_of_its_step(gateway: Gateway) -> None:
    task = waiting(gateway)
    ana = person(gateway)
    page = ana.sees(f"/tasks/{task.id}")
    assert "May this be published?" in page
    assert "Waits for the signal <b>approval</b>" in page
    fields = {"name": "approval", "wait_id": wait_id(task), "answer.note": "fine"}
    undecided = ana.sends(f"/tasks/{task.id}/signal", page, **fields)
    assert undecided.status_code == 422
    assert ">\nfine</textarea>" in undecided.text
    assert task.read().status == "waiting"
    answer = ana.sends(f"/tasks/{task.id}/signal", page, **fields, **{"answer.ok": "true"})
    assert answer.headers["location"] == f"/console/tasks/{task.id}?said=signal"
    assert task.result(20)["published"] is True
    entries = gateway.client.audit(task_id=task.id, operation="signal")
    assert [(each.door, each.subject) for each in entries] == [("console", "ana")] * 2
    assert [each.answer for each in entries] == ["accepted", "invalid_input"]


def test_of_two_who_answer_at_once_the_second_is_told_and_changes_nothing(gateway: Gateway) -> None:
    task = waiting(gateway)
    people = [person(gateway, name, scopes=[*EVERYTHING, "tasks:all"]) for name in ("olga", "paul")]
    pages = [each.sees(f"/tasks/{task.id}") for each in people]
    fields = {"name": "approval", "wait_id": wait_id(task)}
    found: dict[int, Answer] = {}

    def answer(number: int) -> None:
        verdict = {"answer.ok": "true" if number == 0 else "false"}
        found[number] = people[number].sends(f"/tasks/{task.id}/signal", pages[number], **fields, **verdict)

    threads = [threading.Thread(target=answer, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.status_code for each in found.values()) == [303, 409]
    (second,) = [each for each in found.values() if each.status_code == 409]
    assert "is over, so nothing was sent" in second.text.partition('id="live"')[0], "where the stream replaces nothing"
    first = next(number for number, each in found.items() if each.status_code == 303)
    assert task.result(20)["published"] is (first == 0)


def test_a_task_is_cancelled_and_resumed_from_an_earlier_step(gateway: Gateway) -> None:
    task = waiting(gateway)
    ana = person(gateway)
    page = ana.sees(f"/tasks/{task.id}")
    assert ana.sends(f"/tasks/{task.id}/cancel", page, reason="not needed").status_code == 303
    assert task.read().error.message == "not needed"
    page = ana.sees(f"/tasks/{task.id}")
    assert ana.sends(f"/tasks/{task.id}/resume", page, usd="much").status_code == 422
    there = ana.sends(f"/tasks/{task.id}/resume", page, from_step="0", usd="3.5").headers["location"]
    made = gateway.client.get(UUID(there.partition("?")[0].rpartition("/")[2]))
    assert made.read().resumed_from == task.id
    assert made.read().budget.limit.usd == 3.5
    assert ana.sends(f"/tasks/{task.id}/acknowledge", page).status_code == 303
    assert task.read().acknowledged_at is not None
    again = ana.sends(f"/tasks/{made.id}/acknowledge", page)
    assert again.status_code == 409
    assert "no result to acknowledge yet" in again.text
    made.cancel()


def test_what_sensitive_agents_record_is_shown_to_its_own_scope_and_each_look_is_audited(gateway: Gateway) -> None:
    task = gateway.client.submit("secretkeeper", {"secret": "xyzzy"}, identity=ANA)
    eventually(lambda: task.read().status == "waiting")
    for scopes in (EVERYTHING, ["admin"]):
        other = person(gateway, scopes=scopes)
        assert "xyzzy" not in other.sees(f"/tasks/{task.id}?from=0&to=0")
        assert "payloads:read" in other.sees(f"/tasks/{task.id}/payloads", 403)
    allowed = person(gateway, scopes=[*EVERYTHING, "payloads:read"])
    page = allowed.sees(f"/tasks/{task.id}")
    assert "xyzzy" not in page
    assert f"/console/tasks/{task.id}/payloads" in page
    for _ in range(2):
        assert "xyzzy" in allowed.sees(f"/tasks/{task.id}/payloads")
    looks = [(each.subject, each.answer) for each in gateway.client.audit(task_id=task.id, operation="read_payloads")]
    assert looks == [("ana", "accepted")] * 2 + [("ana", "permission_denied")] * 2
    task.cancel()


def test_a_filter_stands_in_the_address_and_what_is_wrong_with_it_on_the_page(gateway: Gateway) -> None:
    task = waiting(gateway, metadata={"ticket": 4711})
    ana = person(gateway)
    assert str(task.id) in ana.sees("/tasks?metadata=ticket%3D4711&status=waiting&created_after=1h")
    assert str(task.id) not in ana.sees("/tasks?metadata=ticket%3D4712")
    assert "created_after must be a time" in ana.sees("/tasks?created_after=yesterday")
    assert "status must be one of" in ana.sees("/tasks?status=%3Cb%3E")
    bar = re.search(r'href="/console(/tasks\?[^"]*created_after[^"]*)"', ana.sees("/tasks?agent=columnist"))
    assert bar is not None
    assert "created_after must be" not in ana.sees(bar[1].replace("&amp;", "&"))
    table = ana.http.get("/console/tasks.csv?metadata=ticket%3D4711")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.splitlines()[1].startswith(f'"{task.id}","columnist","waiting","publish","2",')


def test_no_cell_of_a_table_is_a_formula(gateway: Gateway) -> None:
    named = Identity(subject='=HYPERLINK("https://evil.example")', tenant="acme")
    waiting(gateway, identity=named)
    boss = person(gateway, "boss", scopes=["tasks:read", "tasks:all"])
    query = urlencode({"subject": named.subject})
    assert "\"'=HYPERLINK(" in boss.http.get(f"/console/tasks.csv?{query}").text


def test_a_page_is_sent_anew_when_something_on_it_changes(gateway: Gateway) -> None:
    task = waiting(gateway)
    ana = person(gateway)
    stream = ana.follows(f"/tasks/{task.id}/live")
    first = next(stream)
    assert 'class="status waiting"' in first
    task.signal("approval", {"ok": True})
    assert any('class="status completed"' in event for event in stream)
    (last,) = [line for line in first.splitlines() if line.startswith("id: ")]
    with ana.http.stream("GET", "/console/tasks/live?agent=none") as answer:
        assert next(answer.iter_lines()).startswith("id: ")
    seen = {"Last-Event-ID": last.removeprefix("id: ")}
    with ana.http.stream("GET", f"/console/tasks/{task.id}/live", headers=seen) as answer:
        assert next(answer.iter_lines()) != last


def test_a_page_that_changes_all_the_time_is_sent_no_more_once_its_key_was_revoked(gateway: Gateway) -> None:
    key = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    http = httpx2.Client(base_url=gateway.url, timeout=20)
    http.post("/console/sign-in", data={"key": key.key})
    revoked_at = None
    with http.stream("GET", "/console/tasks/live") as answer:
        for line in answer.iter_lines():
            if line.startswith("id:"):
                waiting(gateway)
                if revoked_at is None:
                    gateway.client.revoke_key(key.id)
                    revoked_at = monotonic()
            assert revoked_at is None or monotonic() - revoked_at < 10, "it is still sent"


def test_the_form_of_a_page_that_was_sent_anew_is_the_sessions_own(gateway: Gateway) -> None:
    task = waiting(gateway)
    ana, again = person(gateway), person(gateway)
    for each in (ana, again):
        event = next(each.follows(f"/tasks/{task.id}/live"))
        assert each.sends(f"/tasks/{task.id}/cancel", event, reason="done").status_code == 303


def test_a_task_is_submitted_by_the_form_of_its_agent(gateway: Gateway) -> None:
    ana = person(gateway)
    page = ana.sees("/agents")
    wrong = ana.sends("/agents/tallier/submit", page, **{"answer.to": "many", "answer.name": "<i>n</i>"})
    assert wrong.status_code == 422
    assert "Give a whole number" in wrong.text
    assert "&lt;i&gt;n&lt;/i&gt;" in wrong.text
    fields = {"answer.to": "1", "answer.name": "x", "answer.n": "0"}
    there = ana.sends("/agents/tallier/submit", page, **fields).headers["location"]
    task = gateway.client.get(UUID(there.partition("?")[0].rpartition("/")[2]))
    assert task.result(20) == "x 1"
    assert task.read().identity == Identity(subject="ana", tenant="acme", scopes=EVERYTHING)
    assert ana.sends("/agents/nobody/submit", page).status_code == 404


def test_a_task_is_paused_on_its_page_and_now_shows_what_is_paused(gateway: Gateway) -> None:
    ana, task = person(gateway), waiting(gateway)
    path = f"/tasks/{task.id}"
    assert ">Paused<" not in ana.sees()
    sent = ana.sends(f"{path}/pause", ana.sees(path), reason="<i>ill</i>")
    assert sent.headers["location"] == f"/console{path}?said=pause"
    assert task.snapshot().paused.by == "ana"
    for page in (ana.sees(path), ana.sees()):
        assert "&lt;i&gt;ill&lt;/i&gt;" in page
    assert path in ana.sees().partition(">Paused<")[2].partition("</section>")[0]
    assert ">Paused<" not in person(gateway, "bob").sees()
    again = ana.sends(f"{path}/pause", ana.sees(path))
    assert (again.status_code, "is paused since" in again.text) == (409, True)
    assert ana.sends(f"{path}/unpause", ana.sees(path)).headers["location"] == f"/console{path}?said=unpause"
    assert task.snapshot().paused is None
    assert ">Paused<" not in ana.sees()
    reader = person(gateway, scopes=["tasks:read"])
    assert "Pause it" not in reader.sees(path)
    task.cancel()


def test_schedules_are_shown_with_their_next_firings_and_deleted_by_who_may(gateway: Gateway) -> None:
    gateway.client.schedule("tallier", {"to": 1}, name="of ana", cron="0 7 * * 1", identity=ANA)
    ana, bob = person(gateway), person(gateway, "bob")
    page = ana.sees("/schedules")
    assert "of ana" in page
    assert page.count("07:00:00") >= 5
    assert "of ana" not in bob.sees("/schedules")
    path, of = "/schedules/of%20ana", {"tenant": "acme"}
    assert bob.sends(path, bob.sees(), lever="delete", **of).status_code == 404
    assert ana.sends(path, page, lever="pause", reason="<i>ill</i>", **of).status_code == 303
    assert "&lt;i&gt;ill&lt;/i&gt;" in ana.sees("/schedules")
    assert ana.sends(path, page, lever="unpause", **of).status_code == 303
    assert ">paused<" not in ana.sees("/schedules")
    there = ana.sends(path, page, lever="trigger", **of).headers["location"]
    assert re.fullmatch(r"/console/tasks/[0-9a-f-]{36}\?said=submit", there)
    assert ana.sends(path, page, lever="explode", **of).status_code == 422
    gone = ana.sends(path, page, lever="delete", **of)
    assert gone.headers["location"] == "/console/schedules?said=unschedule"
    assert "of ana" not in ana.sees("/schedules")


def test_all_that_a_filter_finds_is_counted_and_then_cancelled(gateway: Gateway) -> None:
    tasks = [waiting(gateway, metadata={"batch": 7}) for _ in range(2)]
    other = waiting(gateway)
    ana = person(gateway)
    page = ana.sees("/tasks?metadata=batch%3D7")
    asked = {"metadata": "batch=7", "operation": "cancel"}
    counted = ana.sends("/bulk", page, **asked)
    assert "Cancel 2 tasks?" in counted.text
    assert all(task.read().status == "waiting" for task in tasks)
    assert person(gateway, scopes=["tasks:read"]).sends("/bulk", page, **asked).status_code == 403
    assert ana.sends("/bulk", page, **{**asked, "operation": "purge"}).status_code == 403
    once = re.search(r'name="once" value="(\w+)"', counted.text)
    assert once is not None
    for _ in range(2):  # sent twice, it is one operation
        sent = ana.sends("/bulk", page, sure="yes", reason="all wrong", once=once[1], **asked)
        assert sent.headers["location"].startswith("/console/bulk")
    (begun,) = gateway.client.bulks(identity=ANA)
    assert begun.operation == "cancel"
    eventually(lambda: all(task.read().status == "cancelled" for task in tasks))
    assert tasks[0].read().error.message == "all wrong"
    assert other.read().status == "waiting"
    eventually(lambda: "2 done" in ana.sees("/bulk"))
    assert "2 done" not in person(gateway, "eve", "evil").sees("/bulk")


def test_an_event_is_delivered_again(gateway: Gateway) -> None:
    task = waiting(gateway, callback_url="https://receiver.example/hook")
    ana = person(gateway)
    page = ana.sees(f"/deliveries?task_id={task.id}")
    assert "https://receiver.example/hook" in page
    assert "task.waiting" in page
    path = re.search(r'action="/console(/deliveries/[^"]+/replay)"', page)
    assert path is not None
    assert person(gateway, "bob").sends(path[1], person(gateway, "bob").sees()).status_code in (403, 404)
    assert ana.sends(path[1], page).headers["location"] == "/console/deliveries?said=replay"
    assert "https://receiver.example" not in person(gateway, "bob").sees(f"/deliveries?task_id={task.id}")


def test_sessions_workers_and_the_audit_are_each_for_who_may(gateway: Gateway) -> None:
    waiting(gateway, session_id="talk <b>7</b>")
    ana, evil, root = person(gateway), person(gateway, "eve", "evil"), person(gateway, "root", "ops", ["admin"])
    assert "talk &lt;b&gt;7&lt;/b&gt;" in ana.sees("/sessions")
    assert "talk" not in evil.sees("/sessions")
    assert "/console/workers" not in ana.sees()
    assert "admin" in ana.sees("/workers", 403)
    assert "@test/" in root.sees("/workers")
    assert "accepted" in ana.sees("/audit")
    assert "acme" not in evil.sees("/audit").partition("<table")[2]
    assert "acme" in root.sees("/audit?tenant=acme").partition("<table")[2]
    assert "is no task id" in root.sees("/audit?task_id=7")


def test_the_console_alone_serves_people_and_no_programs(gateway: Gateway) -> None:
    running, url = gateway.processes.gateway(command="console")
    assert httpx2.get(f"{url}/console").status_code == 303
    assert httpx2.get(f"{url}/healthz").status_code == 200
    assert httpx2.get(f"{url}/tasks").status_code == 404
    running.kill()


def test_without_authentication_whoever_is_here_may_do_everything_and_other_sites_nothing(
    server_urls: tuple[str, str], template: str, tmp_path: Any
) -> None:
    with (
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, tmp_path) as processes,
    ):
        _, url = processes.gateway(gateway_auth="off")
        assert "0</b> running" in httpx2.get(f"{url}/console").text
        assert httpx2.get(f"{url}/console/sign-in").headers["location"] == "/console"
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            assert httpx2.get(f"{url}/console", headers=headers).status_code == 403
