"""Bulk operations over HTTP: what they do, for whom, and once for each Idempotency-Key."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.eventually import eventually
from tests.gateway import EVERYTHING, Caller, Gateway, problem_of

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


def counts(bulk: dict[str, Any]) -> tuple[str, int, int, int]:
    return bulk["status"], bulk["matched"], bulk["done"], bulk["passed_over"]


def ended(caller: Caller, id: str) -> dict[str, Any]:
    """The operation, once the sweeps have done it."""

    def look() -> dict[str, Any] | None:
        bulk = caller.get(f"/bulk/{id}").json()
        return bulk if bulk["status"] != "running" else None

    return eventually(look)


def statuses(caller: Caller, filter: dict[str, Any]) -> set[str]:
    ((key, value),) = filter["metadata"].items()
    tasks = caller.get("/tasks", params={"metadata": f"{key}={value}"}).json()["tasks"]
    return {task["status"] for task in tasks}


def test_it_is_counted_and_then_done_by_the_sweeps_for_those_who_may_see_it(
    ana: Caller, gateway: Gateway, batch: dict[str, Any]
) -> None:
    asked = {"operation": "cancel", "filter": batch, "reason": "wrong"}
    dry = ana.post("/bulk", {**asked, "dry_run": True})
    assert (dry.status_code, dry.json()["id"], counts(dry.json())) == (202, None, ("dry_run", 2, 2, 0))
    assert statuses(ana, batch) == {"waiting"}
    begun = ana.post("/bulk", asked)
    assert (begun.status_code, begun.json()["status"]) == (202, "running")
    id = begun.json()["id"]
    assert counts(ended(ana, id)) == ("done", 2, 2, 0)
    assert statuses(ana, batch) == {"cancelled"}
    eve = gateway.caller("eve", "other", EVERYTHING)
    for answer in (eve.get(f"/bulk/{id}"), eve.post(f"/bulk/{id}/stop"), ana.get("/bulk/nonsense")):
        problem_of(answer, 404)
    assert id in {bulk["id"] for bulk in ana.get("/bulk").json()["bulks"]}
    assert id not in {bulk["id"] for bulk in eve.get("/bulk").json()["bulks"]}
    assert ana.post(f"/bulk/{id}/stop").json()["status"] == "done", "what has ended stays as it is"


def test_a_signal_reaches_those_that_wait_for_it_up_to_the_limit(ana: Caller, batch: dict[str, Any]) -> None:
    asked = {"operation": "signal", "filter": batch, "name": "approval", "payload": {"ok": True}, "limit": 1}
    assert counts(ended(ana, ana.post("/bulk", asked).json()["id"]))[2] == 1
    eventually(lambda: statuses(ana, batch) == {"waiting", "completed"})
    again = ended(ana, ana.post("/bulk", {**asked, "limit": None}).json()["id"])
    assert counts(again) == ("done", 2, 1, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"operation": "cancel", "filter": {}}, "filter"),
        ({"operation": "explode", "filter": {"agent": "approval"}}, "operation"),
        ({"operation": "cancel", "filter": {"agent": "approval"}, "limit": 0}, "limit"),
        ({"operation": "cancel", "filter": {"agent": "approval"}, "to": "rescue"}, "to"),
        ({"operation": "prioritise", "filter": {"agent": "approval"}, "priority": 10}, "priority"),
        ({"operation": "signal", "filter": {"agent": "approval"}}, "name"),
        ({"operation": "cancel", "filter": {"agent": "approval", "created_after": "yesterday"}}, "created_after"),
        ({"operation": "cancel", "filter": {"metadata": {"k" * 20_000: 1}}}, "metadata"),
        ({"operation": "cancel", "filter": {"text": "%_"}}, "text"),
        ({"operation": "cancel", "filter": {"colour": "red"}}, "filter.colour"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(ana: Caller, body: dict[str, Any], field: str) -> None:
    before = ana.get("/bulk").json()
    assert problem_of(ana.post("/bulk", body), 422)["field"] == field
    assert ana.get("/bulk").json() == before


@pytest.mark.parametrize(
    ("operation", "scope", "options"),
    [
        ("cancel", "tasks:cancel", {}),
        ("signal", "tasks:signal", {"name": "approval"}),
        ("resume", "tasks:write", {}),
        ("acknowledge", "tasks:write", {}),
        ("prioritise", "tasks:write", {"priority": 9}),
        ("move", "tasks:write", {"to": "rescue"}),
        ("purge", "admin", {}),
    ],
)
def test_each_takes_the_scope_of_what_is_done(
    gateway: Gateway, operation: str, scope: str, options: dict[str, Any]
) -> None:
    asked = {"operation": operation, "filter": {"agent": "nobody"}, **options}
    others = [each for each in EVERYTHING if each != scope]
    refused = gateway.caller("ida", "acme", others).post("/bulk", asked)
    assert problem_of(refused, 403)["error"]["details"]["scope"] == scope
    begun = gateway.caller("ida", "acme", ["tasks:read", scope]).post("/bulk", asked)
    assert begun.status_code == 202, begun.text


def test_a_request_that_is_sent_again_with_its_key_is_one_operation(ana: Caller, batch: dict[str, Any]) -> None:
    asked = {"operation": "cancel", "filter": batch, "reason": "wrong"}
    key = {"Idempotency-Key": f'"night-{batch["metadata"]["batch"]}"'}
    first, again = (ana.post("/bulk", asked, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202), again.text
    assert first.json()["id"] == again.json()["id"]
    assert counts(ended(ana, first.json()["id"])) == ("done", 2, 2, 0)
    other = ana.post("/bulk", {**asked, "reason": "another"}, headers=key)
    assert problem_of(other, 422)["error"]["details"]["bulk_id"] == first.json()["id"]
    assert ana.post("/bulk", asked).json()["id"] != first.json()["id"]
    problem_of(ana.post("/bulk", asked, headers={"Idempotency-Key": "k" * 256}), 400)
