"""Endpoints, deliveries and the feed over HTTP; nothing is sent here."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent_tasks import AgentTasks
from tests.conftest import fresh_deployment
from tests.database import query
from tests.database.webhooks import ended
from tests.gateway import EVERYTHING, Caller, Gateway, problem_of
from tests.processes import Processes

URL = "https://billing.example/in"
COUNT = {"agent": "count", "input": {"to": 1}}


@pytest.fixture(scope="module")
def gateway(server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One without a worker. Each test has a tenant of its own."""
    with (
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, tmp_path_factory.mktemp("webhooks")) as processes,
    ):
        running, url = processes.gateway()
        gateway = Gateway(AgentTasks(settings), processes, running, url)
        yield gateway
        gateway.close()
        gateway.client.close()


def boss(gateway: Gateway, tenant: str) -> Caller:
    return gateway.caller("boss", tenant, [*EVERYTHING, "tasks:all"])


def put(caller: Caller, name: str = "billing", **body: Any) -> dict[str, Any]:
    answer = caller.ask("PUT", f"/webhooks/{name}", json={"url": URL, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def posted(caller: Caller, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
    answer = caller.post(path, body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_an_endpoint_lives_from_its_registration_to_its_removal(gateway: Gateway) -> None:
    caller = boss(gateway, "w1")
    made = put(caller, types=["task.completed"], agents=["count"], payload="full", ordered=False)
    assert made["secret"].startswith("whsec_")
    assert (made["tenant"], made["subject"], made["types"], made["agents"]) == (
        "w1", None, ["task.completed"], ["count"],
    )  # fmt: skip
    assert (made["payload"], made["ordered"]) == ("full", False)
    plain = put(caller)
    assert (plain["secret"], plain["types"], plain["payload"]) == (made["secret"], None, "thin")
    rotated = posted(caller, "/webhooks/billing/rotate")
    assert rotated["secret"] not in (None, made["secret"])
    assert rotated["rotating_until"] is not None
    assert (
        posted(caller, "/webhooks/billing/rotate", {"secret": made["secret"], "overlap": 0})["secret"] == made["secret"]
    )
    assert posted(caller, "/webhooks/billing/disable")["disabled_why"] == "asked"
    assert problem_of(caller.post("/webhooks/billing/ping"), 409)["error"]["details"]["why"] == "disabled"
    assert posted(caller, "/webhooks/billing/enable")["disabled_at"] is None
    ping = posted(caller, "/webhooks/billing/ping", status=202)
    assert (ping["type"], ping["webhook"]) == ("webhook.ping", "billing")
    assert caller.get(f"/deliveries/{ping['id']}").json() == ping
    assert caller.ask("DELETE", "/webhooks/billing").status_code == 204
    problem_of(caller.ask("DELETE", "/webhooks/billing"), 404)
    assert caller.get("/webhooks").json() == {"webhooks": []}


def test_a_secret_is_shown_to_who_may_write_and_to_nobody_else(gateway: Gateway) -> None:
    made = put(boss(gateway, "w2"))
    reader = gateway.caller("boss", "w2", ["tasks:read", "tasks:all"])
    one = reader.get("/webhooks/billing").json()
    assert one == {**made, "secret": None}
    assert reader.get("/webhooks").json() == {"webhooks": [one]}
    problem_of(reader.ask("PUT", "/webhooks/billing", json={"url": URL}), 403)


def test_who_may_see_their_own_tasks_alone_is_told_of_them_alone(gateway: Gateway) -> None:
    ana, bob = gateway.caller("ana", "w3"), gateway.caller("bob", "w3")
    assert put(ana)["subject"] == "ana"
    problem_of(ana.ask("PUT", "/webhooks/bobs", json={"url": URL, "subject": "bob"}), 403)
    problem_of(bob.ask("PUT", "/webhooks/billing", json={"url": URL}), 403)
    problem_of(bob.get("/webhooks/billing"), 404)
    assert put(boss(gateway, "w3"), "bobs", subject="bob")["subject"] == "bob"
    assert [each["name"] for each in bob.get("/webhooks").json()["webhooks"]] == ["bobs"]
    task = ana.submit("count", {"to": 1})
    bob.submit("count", {"to": 1})
    (delivery,) = ana.get("/deliveries").json()["deliveries"]
    assert (delivery["task_id"], delivery["webhook"]) == (task["id"], "billing")


def test_what_tells_of_the_whole_task_takes_the_right_to_read_it(gateway: Gateway) -> None:
    writer = gateway.caller("ana", "w8", ["tasks:write"])
    assert put(writer)["payload"] == "thin"
    refused = problem_of(writer.ask("PUT", "/webhooks/billing", json={"url": URL, "payload": "full"}), 403)
    assert refused["error"]["details"]["scope"] == "tasks:read"
    assert put(gateway.caller("ana", "w8", ["tasks:write", "tasks:read"]), payload="full")["payload"] == "full"
    assert put(gateway.caller("root", "w8", ["admin"]), "roots", payload="full")["payload"] == "full"


def test_admin_says_which_tenant_is_meant(gateway: Gateway) -> None:
    root, caller = gateway.caller("root", "w0", ["admin"]), boss(gateway, "w4")
    put(caller)
    problem_of(root.get("/webhooks/billing"), 404)
    assert root.get("/webhooks/billing", params={"tenant": "w4"}).json()["tenant"] == "w4"
    made = root.ask("PUT", "/webhooks/theirs", json={"url": URL}, params={"tenant": "w4"}).json()
    assert (made["tenant"], made["subject"]) == ("w4", None)
    assert put(root)["tenant"] == "w0"
    problem_of(caller.ask("PUT", "/webhooks/x", json={"url": URL}, params={"tenant": "w0"}), 403)
    assert {each["name"] for each in caller.get("/webhooks").json()["webhooks"]} == {"billing", "theirs"}
    assert caller.get("/webhooks", params={"tenant": "w0"}).json() == {"webhooks": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"), ({"url": "http://169.254.169.254/latest"}, "url"), ({"url": "http://[::ffff:127.0.0.1]/"}, "url"),
        ({"url": "https://user@a.example/"}, "url"), ({"url": "no URL"}, "url"), ({"url": "file:///etc/passwd"}, "url"),
        ({"url": 7}, "url"), ({"url": URL, "types": []}, "types"), ({"url": URL, "types": "task.failed"}, "types"),
        ({"url": URL, "types": ["task.complete"]}, "types"), ({"url": URL, "agents": [7]}, "agents.0"),
        ({"url": URL, "payload": "fat"}, "payload"), ({"url": URL, "ordered": 1}, "ordered"),
        ({"url": URL, "secret": "whsec_short"}, "secret"), ({"url": URL, "tenant": "w0"}, "tenant"),
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused_by_its_field(gateway: Gateway, body: dict[str, Any], field: str) -> None:
    caller = boss(gateway, "w5")
    assert problem_of(caller.ask("PUT", "/webhooks/billing", json=body), 422)["field"] == field
    assert caller.get("/webhooks").json() == {"webhooks": []}


def test_deliveries_come_in_pages_and_are_made_once_more(gateway: Gateway) -> None:
    caller = boss(gateway, "w6")
    put(caller)
    tasks = [caller.submit("count", {"to": 1})["id"] for _ in range(3)]
    page = caller.get("/deliveries", params={"limit": 2, "webhook": "billing"}).json()
    rest = caller.get("/deliveries", params={"webhook": "billing", "after": page["next"]}).json()
    found = page["deliveries"] + rest["deliveries"]
    assert ([each["task_id"] for each in found], rest["next"]) == (tasks[::-1], None)
    assert caller.get("/deliveries", params={"task_id": tasks[0], "type": "task.failed"}).json()["deliveries"] == []
    ended(gateway.client, found[0]["id"])
    ended(gateway.client, found[1]["id"], "delivered")
    (failed,) = caller.get("/deliveries", params={"status": "failed"}).json()["deliveries"]
    again = posted(caller, f"/deliveries/{failed['id']}/replay", status=202)
    assert (again["event_id"], again["status"]) == (failed["event_id"], "pending")
    assert again["id"] != failed["id"]
    assert posted(caller, "/deliveries/replay", {"webhook": "billing"}, 202) == {"replayed": 2}
    assert posted(caller, "/deliveries/replay", {"webhook": "billing", "only": "all"}, 202) == {"replayed": 3}
    place = caller.get("/events").json()["next"]
    assert posted(caller, "/deliveries/replay", {"webhook": "billing", "after": place}, 202) == {"replayed": 0}
    problem_of(caller.post("/deliveries/replay", {"webhook": "none"}), 404)
    for body, field in (
        ({"webhook": "billing", "after": "soon"}, "after"),
        ({"webhook": "billing", "only": "x"}, "only"),
    ):
        assert problem_of(caller.post("/deliveries/replay", body), 422)["field"] == field
    posted(caller, "/webhooks/billing/disable")
    for path, body in ((f"/deliveries/{failed['id']}/replay", None), ("/deliveries/replay", {"webhook": "billing"})):
        assert problem_of(caller.post(path, body), 409)["error"]["details"]["why"] == "disabled"


def test_the_feed_goes_on_where_it_was_left(gateway: Gateway) -> None:
    caller, other = boss(gateway, "w7"), boss(gateway, "w8")
    put(caller)
    put(other)
    tasks = [caller.submit("count", {"to": 1})["id"] for _ in range(3)]
    first = caller.get("/events", params={"limit": 2}).json()
    rest = caller.get("/events", params={"after": first["next"]}).json()
    assert [event["data"]["task_id"] for event in first["events"] + rest["events"]] == tasks
    assert (first["more"], rest["more"]) == (True, False)
    caller.post(f"/tasks/{tasks[0]}/cancel")
    (event,) = caller.get("/events", params={"after": rest["next"]}).json()["events"]
    assert (event["type"], event["data"]["status"]) == ("task.cancelled", "cancelled")
    assert event["data"]["link"] == f"http://127.0.0.1:8000/tasks/{tasks[0]}"
    assert other.get("/events").json()["events"] == []
    assert other.get("/events", params={"after": first["next"]}).json()["events"] == []
    assert problem_of(caller.get("/events", params={"after": "x"}), 422)["field"] == "after"


def test_what_was_sent_to_an_endpoint_that_was_removed_can_still_be_looked_at(gateway: Gateway) -> None:
    caller = boss(gateway, "w9")
    put(caller)
    caller.submit("count", {"to": 1})
    caller.ask("DELETE", "/webhooks/billing")
    (delivery,) = caller.get("/deliveries").json()["deliveries"]
    assert (delivery["webhook"], delivery["url"]) == (None, None)
    assert problem_of(caller.post(f"/deliveries/{delivery['id']}/replay"), 409)["error"]["details"]["why"] == "removed"
    assert query(gateway.client, "SELECT FROM agent_tasks.webhooks WHERE tenant = 'w9'") == []
