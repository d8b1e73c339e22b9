"""Limits, sessions, the inbox beyond its first page, agents, and deliveries of a range."""

import html
import re
from datetime import UTC, datetime

import httpx2

from tests.eventually import eventually
from tests.gateway import EVERYTHING, Gateway
from tests.gateway.console.people import ANA, person, waiting

MANY = ["tasks:read", "tasks:all"]


def test_limits_are_shown_with_how_near_to_them_a_tenant_is(gateway: Gateway) -> None:
    identity = ANA.model_copy(update={"tenant": "limited"})
    tasks = [waiting(gateway, identity=identity) for _ in range(2)]
    boss = person(gateway, "boss", "limited", MANY)
    page = boss.sees("/limits")
    assert "1000/second" in page
    assert re.search(r'limited</a></td><td class="num">2</td>', page)
    assert "columnist" in page.partition("Budgets of")[2]
    assert "limited</a>" not in person(gateway).sees("/limits")
    assert "limited</a>" in person(gateway, "root", "ops", ["admin"]).sees("/limits")
    for task in tasks:
        task.cancel()


def test_a_session_has_a_page_of_its_own_tenant_alone(gateway: Gateway) -> None:
    for tenant in ("talks", "other talks"):
        identity = ANA.model_copy(update={"tenant": tenant})
        for _ in range(2):
            gateway.client.submit("tallier", {"to": 1}, identity=identity, session_id="a/b <i>7</i>").wait(20)
    ana = person(gateway, tenant="talks")
    link = re.search(r'href="/console(/session\?[^"]*)"', ana.sees("/sessions"))
    assert link is not None
    page = ana.sees(html.unescape(link[1]))
    assert "<h1>a/b &lt;i&gt;7&lt;/i&gt;</h1>" in page
    assert "<b>2</b> tasks" in page
    assert "<b>$0.0040</b> spent" in page
    assert page.count('<tr id="task-') == 2
    assert ana.sees("/session?id=a%2Fb+%3Ci%3E7%3C%2Fi%3E&tenant=other+talks").count('<tr id="task-') == 2, "its own"
    assert "No task belongs" in person(gateway, tenant="none").sees(html.unescape(link[1]))
    assert "Name the session" in ana.sees("/session", 422)


def test_the_inbox_goes_on_beyond_its_first_page(gateway: Gateway) -> None:
    identity = ANA.model_copy(update={"tenant": "busy"})
    tasks = gateway.client.submit_many("secretkeeper", [{"secret": str(n)} for n in range(52)], identity=identity)
    ana = person(gateway, tenant="busy")
    eventually(lambda: len(gateway.client.living(tenant="busy", kind="signal", limit=99)) == 52, 40)
    first = ana.sees("/inbox")
    assert first.count('class="entry"') == 50
    link = re.search(r'href="/console(/inbox\?page=2)" rel="next"', first)
    assert link is not None
    second = ana.sees(link[1])
    assert second.count('class="entry"') == 2
    assert 'rel="next"' not in second
    assert "Nothing more waits" in ana.sees("/inbox?page=3")
    for task in tasks:
        task.cancel()


def test_an_agent_is_shown_with_the_times_of_its_steps_and_its_schema(gateway: Gateway) -> None:
    gateway.client.submit("tallier", {"to": 1}, identity=ANA).wait(20)
    part = person(gateway).sees("/agents").partition('id="agent-tallier"')[2].partition("</section>")[0]
    assert re.search(r"<td>up</td><td class=\"num\">[0-9]+</td>", part.partition("Time by step")[2])
    assert "&#34;to&#34;" in part.partition("Input schema")[2]


def test_all_that_an_endpoint_was_to_be_told_is_sent_again(gateway: Gateway) -> None:
    client = gateway.client
    identity = ANA.model_copy(update={"tenant": "told", "scopes": (*EVERYTHING, "tasks:all")})
    client.webhooks.put("hook", "https://receiver.example/hook", identity=identity)
    waiting(gateway, identity=identity)
    boss = person(gateway, "ana", "told", [*EVERYTHING, "tasks:all"])
    eventually(lambda: "task.waiting" in boss.sees("/deliveries?webhook=hook"))
    page = boss.sees("/deliveries?webhook=hook")
    assert "Send a range again to hook" in page
    since = datetime.now(UTC).replace(hour=0, minute=0).isoformat()
    for after in ("1h", since):
        sent = boss.sends("/deliveries/replay", page, webhook="hook", after=after, only="all")
        assert sent.headers["location"] == "/console/deliveries?webhook=hook&tenant=&said=replay_range"
    assert "after must be a time" in boss.sends("/deliveries/replay", page, webhook="hook", after="soon").text
    assert person(gateway).sends("/deliveries/replay", person(gateway).sees(), webhook="hook").status_code in (403, 404)


def test_a_session_may_have_so_many_pages_open_and_no_more(gateway: Gateway) -> None:
    ana = person(gateway)
    streams = [ana.http.stream("GET", "/console/tasks/live") for _ in range(51)]
    try:
        statuses = [stream.__enter__().status_code for stream in streams]
    finally:
        for stream in streams:
            stream.__exit__(None, None, None)
    assert statuses == [200] * 50 + [429]
    eventually(lambda: _status(ana.http) == 200)


def _status(http: httpx2.Client) -> int:
    with http.stream("GET", "/console/tasks/live") as answer:
        return answer.status_code


def test_a_path_that_leads_nowhere_is_a_page_too(gateway: Gateway) -> None:
    ana, task = person(gateway), waiting(gateway)
    for path in ("/nowhere", f"/tasks/{task.id}/signal", f"/tasks/{task.id}/live/x"):
        assert "<h1>There is no such page</h1>" in ana.sees(path, 404)
    assert ana.http.get("/console/").headers["location"] == "/console"


def test_no_other_site_makes_anybody_look_at_payloads(gateway: Gateway) -> None:
    task = gateway.client.submit("secretkeeper", {"secret": "xyzzy"}, identity=ANA)
    allowed = person(gateway, scopes=[*EVERYTHING, "payloads:read"])
    path = f"/console/tasks/{task.id}/payloads"
    led = allowed.http.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert led.headers["location"] == f"/console/tasks/{task.id}"
    assert gateway.client.audit(task_id=task.id, operation="read_payloads") == []
    assert "xyzzy" in allowed.http.get(path, headers={"Sec-Fetch-Site": "same-origin"}).text
    task.cancel()


def test_an_address_that_asks_for_too_much_is_refused_on_a_page(gateway: Gateway) -> None:
    ana = person(gateway)
    assert "more than a hundred" in ana.sees("/tasks?" + "&".join(f"x{n}=1" for n in range(120)), 400)
