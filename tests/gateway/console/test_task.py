"""The page of a task: its newest history, what is decided upon, forks with other arguments, and what is sent once."""

import html
import json
import re
from uuid import UUID

import httpx2

from tests.eventually import eventually
from tests.gateway import EVERYTHING, Gateway
from tests.gateway.console.people import AGENTS, ANA, Person, person, wait_id, waiting


def parted(page: str, heading: str) -> str:
    """The section of a heading."""
    return page.partition(f"<h2>{heading}</h2>")[2].partition("</section>")[0]


def test_of_a_long_history_the_newest_is_shown(gateway: Gateway) -> None:
    task = gateway.client.submit("tallier", {"to": 120}, identity=ANA)
    task.wait(60)
    last = [event.seq for event in task.events()][-1]
    page = person(gateway).sees(f"/tasks/{task.id}")
    listed = [int(seq) for seq in re.findall(r'id="event-([0-9]+)"', page)]
    assert listed == list(range(last, last - 200, -1))
    assert f"The first {last - 200} are left out." in page
    assert "Earlier ones are left out" in page
    whole = person(gateway).sees(f"/tasks/{task.id}?all=1")
    assert len(re.findall(r'id="event-([0-9]+)"', whole)) == last
    assert "left out" not in whole


def test_links_of_a_page_that_answers_a_form_lead_to_pages_and_keep_what_else_was_asked_for(gateway: Gateway) -> None:
    task = waiting(gateway)
    task.cancel()
    ana = person(gateway)
    path = f"/tasks/{task.id}"
    answer = ana.sends(f"{path}/resume", ana.sees(path), usd="much")
    assert answer.status_code == 422
    for page in (answer.text, ana.sees(f"{path}?zoom=2&from=0&to=1&said=cancel")):
        links = [html.unescape(each) for each in re.findall(r'(?:href|action)="([^"#]*)"', page)]
        assert [each for each in links if each.startswith(("?", "./"))] == []
        for each in links:
            if each.startswith(f"/console{path}?"):
                assert ana.http.get(each).status_code == 200
        assert f"/console{path}?zoom=4" in "".join(links).replace("from=0&to=1&", "")
    assert f'data-here="/console{path}?from=0&amp;to=1&amp;zoom=2"' in page
    assert "zoom=4" in page
    assert "from=0&amp;to=1&amp;zoom=4" in page


def test_who_answers_a_wait_sees_what_it_is_about_but_of_sensitive_agents(gateway: Gateway) -> None:
    task = waiting(gateway, "<b>tides</b>")
    ana = person(gateway)
    for page in (ana.sees(f"/tasks/{task.id}"), ana.sees("/inbox")):
        matter = page.partition(str(task.id))[2].partition('class="matter"')[2].partition("</div>")[0]
        assert "<dt>text</dt><dd>&lt;b&gt;tides&lt;/b&gt;" in matter
    secret = gateway.client.submit("secretkeeper", {"secret": "xyzzy"}, identity=ANA)
    eventually(lambda: secret.read().status == "waiting")
    assert "xyzzy" not in ana.sees(f"/tasks/{secret.id}") + ana.sees("/inbox")
    allowed = person(gateway, scopes=[*EVERYTHING, "payloads:read"])
    assert "xyzzy" in allowed.sees(f"/tasks/{secret.id}/payloads").partition('class="matter"')[2].partition("</div>")[0]
    for each in (task, secret):
        each.cancel()


def test_a_fork_goes_on_with_what_was_edited(gateway: Gateway) -> None:
    task = waiting(gateway, "tides")
    task.cancel()
    ana = person(gateway)
    path = f"/tasks/{task.id}"
    page = ana.sees(f"{path}?fork=1")
    found = re.search(r'name="state"[^>]*>\n([^<]*)</textarea>', page)
    assert found is not None
    assert json.loads(html.unescape(found[1])) == {"topic": "tides", "markup": ""}
    for wrong in ('{"topic": ', "[1]"):
        answer = ana.sends(f"{path}/resume", page, from_step="1", state=wrong)
        assert answer.status_code == 422
        assert f">\n{html.escape(wrong, quote=True).replace('&quot;', '&#34;')}</textarea>" in answer.text
    there = ana.sends(f"{path}/resume", page, from_step="1", state='{"topic": "storms", "markup": ""}')
    fork = gateway.client.get(UUID(there.headers["location"].partition("?")[0].rpartition("/")[2]))
    eventually(lambda: fork.read().status == "waiting")
    fork.signal("approval", {"ok": True})
    assert fork.result(20)["text"] == "storms "
    (entry,) = gateway.client.audit(task_id=task.id, operation="resume", limit=1)
    assert entry.data is not None
    assert entry.data["edited"] is True
    assert "There is no such step" in ana.sees(f"{path}?fork=77", 422)
    secret = gateway.client.submit("secretkeeper", {"secret": "xyzzy"}, identity=ANA)
    secret.cancel()
    assert "xyzzy" not in ana.sees(f"/tasks/{secret.id}?fork=0")


def test_each_attempt_is_shown_with_what_went_wrong(gateway: Gateway) -> None:
    task = gateway.client.submit("faulty", {"markup": "<i>no</i>"}, identity=ANA)
    task.wait(20)
    attempts = parted(person(gateway).sees(f"/tasks/{task.id}"), "Attempts")
    assert attempts.count("the tool said &lt;i&gt;no&lt;/i&gt;") == 3, "two attempts, and the traceback of the last"
    assert "Traceback" in attempts
    assert [f"try {each}" for each in re.findall(r">try ([0-9])<", attempts)] == ["try 2", "try 1"]
    assert ">Attempts<" not in person(gateway).sees(f"/tasks/{waiting(gateway).id}")


def test_a_form_that_is_sent_twice_submits_once_and_another_anew(gateway: Gateway) -> None:
    ana = person(gateway)
    page = ana.sees("/agents")
    once = re.search(r'name="once" value="([^"]+)"', page.partition('id="submit-tallier"')[2])
    assert once is not None
    fields = {"answer.to": "1", "answer.name": "twice", "answer.n": "0", "once": once[1], "usd": "0.5"}
    fields |= {"session_id": "s 7", "metadata": '{"ticket": 8}'}
    locations = [ana.sends("/agents/tallier/submit", page, **fields).headers["location"] for _ in range(2)]
    assert locations[0] == locations[1]
    other = ana.sends("/agents/tallier/submit", page, **{**fields, "answer.name": "thrice"}).headers["location"]
    assert other != locations[0]
    seen = gateway.client.get(UUID(locations[0].partition("?")[0].rpartition("/")[2])).read()
    assert (seen.session_id, seen.metadata, seen.budget.limit.usd) == ("s 7", {"ticket": 8}, 0.5)
    wrong = ana.sends("/agents/tallier/submit", page, **{**fields, "metadata": "ticket"})
    assert wrong.status_code == 422
    assert "The metadata is not valid JSON" in wrong.text
    assert 'value="s 7"' in wrong.text


def test_what_was_filled_in_is_kept_when_the_session_has_ended_meanwhile(gateway: Gateway) -> None:
    task = waiting(gateway)
    key = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    http = httpx2.Client(base_url=gateway.url, timeout=20)
    http.post("/console/sign-in", data={"key": key.key})
    ana = Person(http)
    path = f"/tasks/{task.id}/signal"
    page = ana.sees(f"/tasks/{task.id}")
    gateway.client.revoke_key(key.id)
    eventually(lambda: http.get("/console").status_code == 303)
    fields = {"name": "approval", "wait_id": wait_id(task), "answer.note": "<i>fine</i>", "answer.ok": "true"}
    http.headers["Sec-Fetch-Site"] = "cross-site"
    assert "fine" not in ana.sends(path, page, **fields).text
    http.headers["Sec-Fetch-Site"] = "same-origin"
    asked = ana.sends(path, page, **fields)
    assert asked.status_code == 401
    assert "&lt;i&gt;fine&lt;/i&gt;" in asked.text
    kept = re.search(r'name="kept" value="([^"]*)"', asked.text)
    assert kept is not None
    again = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING).key
    filled = html.unescape(kept[1])
    shown = http.post("/console/sign-in", data={"key": again, "kept": filled})
    assert "Send it again?" in shown.text
    assert task.read().status == "waiting"
    assert ana.sends(path, shown.text, **fields).headers["location"].endswith("?said=signal")
    assert task.result(20)["published"] is True
    elsewhere = json.dumps({"path": "//evil.example", "fields": {}})
    assert http.post("/console/sign-in", data={"key": again, "kept": elsewhere}).headers["location"] == "/console"


def test_a_stream_says_that_the_session_has_ended(gateway: Gateway) -> None:
    task = waiting(gateway)
    key = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    http = httpx2.Client(base_url=gateway.url, timeout=20)
    http.post("/console/sign-in", data={"key": key.key})
    events = Person(http).follows(f"/tasks/{task.id}/live")
    assert next(events).startswith("id: ")
    gateway.client.revoke_key(key.id)
    assert any("event: signed-out" in event for event in events)


def test_a_trace_is_a_link_where_a_setting_says_to_where(gateway: Gateway) -> None:
    task = waiting(gateway)
    traceparent = task.read().traceparent
    assert traceparent is not None
    trace_id = traceparent.split("-")[1]
    running, url = gateway.processes.gateway(agents=AGENTS, trace_url="https://jaeger.example/trace/{trace_id}?x=1")
    key = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING).key
    with httpx2.Client(base_url=url, timeout=20) as http:
        http.post("/console/sign-in", data={"key": key})
        assert f'href="https://jaeger.example/trace/{trace_id}?x=1"' in http.get(f"/console/tasks/{task.id}").text
    running.kill()
    assert f'<dd class="mono">{trace_id}</dd>' in person(gateway).sees(f"/tasks/{task.id}")
