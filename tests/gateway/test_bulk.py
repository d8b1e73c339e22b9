"""Bulk operations over HTTP: begun once for each Idempotency-Key."""

from tests.eventually import eventually
from tests.gateway import Caller, problem_of

CANCEL = {"operation": "cancel", "filter": {"agent": "approval", "metadata": {"batch": 41}}, "reason": "wrong"}


def test_a_request_that_is_sent_again_with_its_key_is_one_operation(ana: Caller) -> None:
    task = ana.submit("approval", {}, metadata={"batch": 41})
    key = {"Idempotency-Key": '"night-41"'}
    first, again = (ana.post("/bulk", CANCEL, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202), again.text
    assert first.json()["id"] == again.json()["id"]
    eventually(lambda: ana.get(f"/tasks/{task['id']}").json()["status"] == "cancelled")
    eventually(lambda: ana.get(f"/bulk/{first.json()['id']}").json()["done"] == 1)
    other = ana.post("/bulk", {**CANCEL, "reason": "another"}, headers=key)
    assert problem_of(other, 422)["error"]["details"]["bulk_id"] == first.json()["id"]
    assert ana.post("/bulk", CANCEL).json()["id"] != first.json()["id"]
    assert problem_of(ana.post("/bulk", CANCEL, headers={"Idempotency-Key": "k" * 256}), 400)
