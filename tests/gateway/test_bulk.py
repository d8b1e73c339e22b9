"""POST /bulk: what it counts and does, to whose tasks, who sees it, and once for each Idempotency-Key."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from agent_tasks import Identity
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Caller, Gateway, problem_of

EVE = Identity(subject="eve", tenant="other")
_BATCHES = count(41)


@pytest.fixture
def batch(ana: Caller) -> Iterator[dict[str, Any]]:
    """A filter of two tasks of Ana's, which wait for an approval."""
    number = next(_BATCHES)
    tasks = [ana.submit("approval", {}, metadata={"batch": number})["id"] for _ in range(2)]
    eventually(lambda: all(ana.get(f"/tasks/{id}").json()["status"] == "waiting" for id in tasks))
    yield {"agent": "approval", "metadata": {"batch": number}}
    for id in tasks:
        ana.post(f"/tasks/{id}/cancel")


def begun(caller: Caller, **body: Any) -> dict[str, Any]:
    """An operation that was accepted, once the sweeps have done it."""
    answer = caller.post("/bulk", body)
    assert answer.status_code == 202, answer.text
    return eventually(
        lambda: (found := caller.get(f"/bulk/{answer.json()['id']}").json())["status"] == "done" and found
    )


def statuses(gateway: Gateway, *tasks: Any) -> list[str]:
    return [gateway.client.get(task).stored().status for task in tasks]


def test_a_dry_run_is_counted_before_the_answer_and_then_the_sweeps_do_it(ana: Caller, gateway: Gateway) -> None:
    tasks = [ana.submit("approval", {}, metadata={"of": "reach"})["id"] for _ in range(3)]
    body = {"operation": "cancel", "filter": {"metadata": {"of": "reach"}}, "reason": "wrong prices"}
    counted = ana.post("/bulk", {**body, "dry_run": True}).json()
    assert (counted["status"], counted["id"], counted["matched"], counted["done"]) == ("dry_run", None, 3, 3)
    assert "cancelled" not in statuses(gateway, *tasks)
    done = begun(ana, **body)
    assert (done["matched"], done["done"], done["passed_over"]) == (3, 3, 0)
    assert statuses(gateway, *tasks) == ["cancelled"] * 3
    assert gateway.client.get(tasks[0]).stored().error.message == "wrong prices"  # type: ignore[union-attr]
    again = begun(ana, **body)
    assert (again["done"], again["passed_over"]) == (0, 3)
    assert again["id"] in [bulk["id"] for bulk in ana.get("/bulk").json()["bulks"]]


def test_no_task_of_another_is_reached_even_by_a_filter_that_names_them(ana: Caller, gateway: Gateway) -> None:
    theirs = gateway.client.submit("approval", identity=EVE, metadata={"of": "others"}).id
    nobodys = gateway.client.submit("approval", metadata={"of": "others"}).id
    own = ana.submit("approval", {}, metadata={"of": "others"})["id"]
    boss = gateway.caller("boss", "acme", [*EVERYTHING, "tasks:all"])
    for filter in ({"tenant": "other"}, {"tenant": "", "metadata": {"of": "others"}}, {"text": str(theirs)}):
        assert begun(boss, operation="cancel", filter=filter)["matched"] == 0
    assert begun(boss, operation="cancel", filter={"metadata": {"of": "others"}})["done"] == 1
    assert statuses(gateway, own) == ["cancelled"]
    assert "cancelled" not in statuses(gateway, theirs, nobodys)


def test_an_operation_of_another_is_as_unknown(ana: Caller, gateway: Gateway) -> None:
    id = begun(ana, operation="cancel", filter={"agent": "none"})["id"]
    for stranger in (gateway.caller("bob"), gateway.caller("ana", "evil", [*EVERYTHING, "tasks:all"])):
        assert problem_of(stranger.get(f"/bulk/{id}"), 404)
        assert problem_of(stranger.post(f"/bulk/{id}/stop"), 404)
        assert id not in [bulk["id"] for bulk in stranger.get("/bulk").json()["bulks"]]
    boss = gateway.caller("boss", "acme", [*EVERYTHING, "tasks:all"])
    assert boss.get(f"/bulk/{id}").json()["id"] == id


def test_all_tasks_are_meant_only_where_that_is_said(gateway: Gateway) -> None:
    zoe = gateway.caller("zoe", "zoo")
    task = zoe.submit("approval", {})["id"]
    for nothing in ({}, {"metadata": {}}):
        problem = problem_of(zoe.post("/bulk", {"operation": "cancel", "filter": nothing}), 422)
        assert (problem["field"], '"all": true' in problem["detail"]) == ("filter", True)
    assert "cancelled" not in statuses(gateway, task)
    assert begun(zoe, operation="cancel", filter={}, all=True)["done"] == 1


@pytest.mark.parametrize(
    ("operation", "more", "scope"),
    [
        ("cancel", {}, "tasks:cancel"), ("signal", {"name": "approval"}, "tasks:signal"), ("resume", {}, "tasks:write"),
        ("acknowledge", {}, "tasks:write"), ("prioritise", {"priority": 9}, "tasks:write"),
        ("move", {"to": "fast"}, "tasks:write"), ("purge", {}, "admin"),
    ],
)  # fmt: skip
def test_each_operation_takes_its_scope_also_to_be_counted(
    gateway: Gateway, operation: str, more: dict[str, Any], scope: str
) -> None:
    lacking = gateway.caller(scopes=[each for each in (*EVERYTHING, "tasks:all") if each != scope])
    for is_dry in (False, True):
        body = {"operation": operation, "filter": {"agent": "none"}, "dry_run": is_dry, **more}
        assert problem_of(lacking.post("/bulk", body), 403)["error"]["details"]["scope"] == scope


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"operation": "move"}, "to"), ({"priority": 3}, "priority"), ({"limit": 0}, "limit"), ({"limit": -1}, "limit"),
        ({"limit": 2**31}, "limit"), ({"filter": {"ended_after": "yesterday"}}, "ended_after"),
        ({"filter": {"ended_after": "2026-11-27T09:00:00"}}, "ended_after"), ({"filter": {"text": ".*"}}, "text"),
        ({"filter": {"metadata": dict.fromkeys("abcdefghi", 1)}}, "metadata"),
        ({"filter": {"metadata": {"k" * 20_000: 1}}}, "metadata"), ({"filter": {"status": "gone"}}, "status"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_by_its_name(ana: Caller, changed: dict[str, Any], field: str) -> None:
    before = len(ana.get("/bulk", params={"limit": 1000}).json()["bulks"])
    body = {"operation": "cancel", "filter": {"agent": "none"}, **changed}
    assert problem_of(ana.post("/bulk", body), 422)["field"] == field
    assert len(ana.get("/bulk", params={"limit": 1000}).json()["bulks"]) == before


def test_a_key_of_metadata_may_be_long_and_text_is_no_pattern_and_no_sql(ana: Caller, gateway: Gateway) -> None:
    task = ana.submit("approval", {})["id"]
    for filter in ({"metadata": {"k" * 10_240: "1"}}, {"text": "x'; DELETE FROM agent_tasks.tasks; --"}):
        assert begun(ana, operation="cancel", filter=filter)["matched"] == 0
    assert "cancelled" not in statuses(gateway, task)


def test_a_signal_reaches_those_that_wait_for_it_up_to_the_limit(ana: Caller, batch: dict[str, Any]) -> None:
    asked = {"operation": "signal", "filter": batch, "name": "approval", "payload": {"ok": True}}
    assert begun(ana, **asked, limit=1)["done"] == 1
    tasks = {"params": {"metadata": f"batch={batch['metadata']['batch']}"}}
    eventually(
        lambda: {task["status"] for task in ana.get("/tasks", **tasks).json()["tasks"]} == {"waiting", "completed"}
    )
    again = begun(ana, **asked)
    assert (again["matched"], again["done"], again["passed_over"]) == (2, 1, 1)


def test_a_request_that_is_sent_again_with_its_key_is_one_operation(ana: Caller, batch: dict[str, Any]) -> None:
    asked = {"operation": "cancel", "filter": batch, "reason": "wrong"}
    key = {"Idempotency-Key": f'"night-{batch["metadata"]["batch"]}"'}
    first, again = (ana.post("/bulk", asked, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202), again.text
    assert first.json()["id"] == again.json()["id"]
    eventually(lambda: ana.get(f"/bulk/{first.json()['id']}").json()["done"] == 2)
    other = ana.post("/bulk", {**asked, "reason": "another"}, headers=key)
    assert problem_of(other, 422)["error"]["details"]["bulk_id"] == first.json()["id"]
    assert ana.post("/bulk", asked).json()["id"] != first.json()["id"]
    problem_of(ana.post("/bulk", asked, headers={"Idempotency-Key": "k" * 256}), 400)
