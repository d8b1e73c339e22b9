"""Idempotency keys of bulk operations: a request that is sent again is the operation that it began."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from agent_tasks import AgentTasks, Bulk, IdempotencyConflict, Identity, InvalidInput, PermissionDenied, TaskFilter
from agent_tasks.sweeps import bulks
from agent_tasks.task.origin import Origin, through
from tests.database import query, submitted
from tests.database.children import run_child

ANA = Identity(subject="ana", tenant="acme")
ROOT = Identity(subject="root", tenant="ops", scopes=("admin",))
ECHO = TaskFilter(agent="echo", created_after=timedelta(hours=1))


def cancel(client: AgentTasks, **options: Any) -> Bulk:
    return client.bulk("cancel", ECHO, **{"idempotency_key": "night", "wait": False, **options})


def test_the_same_request_with_its_key_is_the_operation_that_it_began(client: AgentTasks) -> None:
    first = submitted(client)
    bulk = cancel(client)
    bulks.run_once(client)
    later = submitted(client)
    again = cancel(client, wait=True)
    assert (again.id, again.status, again.done) == (bulk.id, "done", 1)
    assert client.bulks() == [again]
    assert client.get(first).snapshot().status == "cancelled"
    assert client.get(later).snapshot().status == "pending", "it was submitted after the operation began"
    assert [entry.target for entry in client.audit(operation="bulk")] == ["cancel"]


def test_one_that_its_program_left_is_gone_on_with_by_the_same_request(client: AgentTasks) -> None:
    for _ in range(3):
        submitted(client)
    left = cancel(client)
    assert cancel(client, wait=True).model_copy(update={"finished_at": None}) == left.model_copy(
        update={"status": "done", "matched": 3, "done": 3}
    )


@pytest.mark.parametrize(
    "other",
    [
        {"reason": "another"},
        {"limit": 1},
        {"filter": TaskFilter(agent="echo")},
        {"filter": TaskFilter(agent="echo", created_after=timedelta(hours=2))},
        {"operation": "acknowledge"},
    ],
)
def test_another_request_with_the_key_is_refused_and_begins_nothing(client: AgentTasks, other: dict[str, Any]) -> None:
    submitted(client)
    bulk = cancel(client)
    asked = {"operation": "cancel", "filter": ECHO, "idempotency_key": "night", "wait": False, **other}
    with pytest.raises(IdempotencyConflict, match="'night' was used for another request") as caught:
        client.bulk(**asked)
    assert caught.value.details == {"field": "idempotency_key", "bulk_id": str(bulk.id)}
    assert client.bulks() == [bulk]
    assert len(client.audit(operation="bulk")) == 1


def test_a_key_is_of_one_caller_and_of_a_day(client: AgentTasks) -> None:
    ours = cancel(client)
    of_ana, of_root = cancel(client, identity=ANA), cancel(client, identity=ROOT)
    with through(Origin("http", identity=ROOT)):  # whom the door knows, and whose tasks are all tenants'
        assert cancel(client) == of_root
    assert len({ours.id, of_ana.id, of_root.id}) == 3
    assert cancel(client, identity=ANA) == of_ana
    query(client, "UPDATE agent_tasks.bulks SET created_at = created_at - interval '25 h'")
    tomorrow = cancel(client, limit=7)
    assert tomorrow.id not in {ours.id, of_ana.id, of_root.id}
    assert cancel(client, limit=7) == tomorrow
    assert client.get_bulk(ours.id or "").id == ours.id


def test_a_caller_who_may_see_more_by_now_makes_another_request(client: AgentTasks) -> None:
    bulk = cancel(client, identity=ANA)
    for scope in ("tasks:all", "admin"):
        with pytest.raises(IdempotencyConflict):
            cancel(client, identity=ANA.model_copy(update={"scopes": (scope,)}))
    assert cancel(client, identity=ANA.model_copy(update={"scopes": ("tasks:read",)})) == bulk


def test_the_audit_says_who_asked_for_the_tasks_of_all_tenants(client: AgentTasks) -> None:
    cancel(client, identity=ROOT)
    (entry,) = client.audit(operation="bulk")
    assert (entry.tenant, entry.subject) == ("ops", "root")


def test_of_rivals_with_one_key_one_begins_it(client: AgentTasks) -> None:
    submitted(client)
    with ThreadPoolExecutor(8) as threads:
        begun = {bulk.id for bulk in threads.map(lambda _: cancel(client), range(16))}
    assert len(begun) == len(client.bulks()) == len(client.audit(operation="bulk")) == 1


def test_a_dry_run_takes_no_key_and_a_key_has_a_form(client: AgentTasks) -> None:
    submitted(client)
    assert cancel(client, dry_run=True).done == 1
    assert cancel(client, limit=1).status == "running"
    for wrong in ("", "k" * 256, "a\0", 7):
        with pytest.raises(InvalidInput, match="idempotency_key"):
            cancel(client, idempotency_key=wrong)


def test_the_scope_admin_reaches_all_tenants_and_purging_takes_it(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    run_child(client, task)
    wanted = TaskFilter(agent="echo")
    with pytest.raises(PermissionDenied, match="'admin'"):
        client.bulk("purge", wanted, identity=ANA)
    assert client.search(wanted, identity=ROOT).tasks[0].id == task
    assert client.bulk("purge", wanted, identity=ROOT, dry_run=True).done == 1
    purged = client.bulk("purge", wanted, identity=ROOT)
    assert purged.done == 1
    assert client.get_bulk(purged.id or "", identity=ROOT) == purged
    assert client.spend(tenant="acme", identity=ROOT) == []
    assert client.bulks(identity=ANA) == []
