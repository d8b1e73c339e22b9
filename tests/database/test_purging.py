"""Purging on request: all of a task, a person or a tenant goes, and nothing of others."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Identity, InvalidInput, InvalidState, PermissionDenied, TaskNotFound
from agent_tasks.client import purging
from agent_tasks.store.tables import metadata
from tests.database import claimed, query, submitted
from tests.database.children import end, run_child, spawn, undo
from tests.database.webhooks import endpoint

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="acme")
EVE = Identity(subject="ana", tenant="other")
ROOT = Identity(subject="root", tenant="ops", scopes=("admin",))
STAYS = {"audit", "api_keys", "webhooks", "agents", "workers", "secrets", "watches", "lanes"}


def tree_of(client: AgentTasks, who: Identity) -> UUID:
    """A tree of three tasks that has ended."""
    root = claimed(client, submitted(client, identity=who, metadata={"who": who.subject}))
    for child in spawn(client, root, 2):
        run_child(client, child)
    end(client, claimed(client, root.id))
    return root.id


def rows_of(client: AgentTasks, text: str) -> dict[str, int]:
    """How many rows of each table have this text anywhere."""
    found: dict[str, int] = {}
    for table in metadata.tables.values():
        sql = f"SELECT count(*) AS n FROM {table} AS row WHERE row::text LIKE %s"
        if number := query(client, sql, f"%{text}%")[0]["n"]:
            found[table.name] = number
    return found


def test_a_task_goes_with_all_below_it_and_with_all_that_is_kept_of_it(client: AgentTasks) -> None:
    endpoint(client, "acme")
    gone, other = tree_of(client, ANA), tree_of(client, ANA)
    report = client.purge(str(gone))
    assert (report.tasks, report.cancelled, report.kept, report.dry_run) == (3, 0, [], False)
    assert report.tables["tasks"] == 3
    assert report.tables["labels"] == 1
    assert report.tables["outbox"] > 0
    assert set(rows_of(client, str(gone))) <= {"audit"}
    assert client.get(other).snapshot().status == "completed"
    with pytest.raises(TaskNotFound):
        client.purge(gone)
    (entry,) = client.audit(operation="purge")
    assert (entry.target, (entry.data or {})["tables"]["tasks"]) == (str(gone), 3)


def test_all_of_a_person_goes_and_nothing_of_others(client: AgentTasks) -> None:
    for tenant in ("acme", "other"):
        endpoint(client, tenant)
    for who in (ANA, ANA, BOB, EVE):
        tree_of(client, who)
    client.submit("echo", {"value": 1}, identity=ANA, idempotency_key="ana's key").cancel()
    client.schedule("echo", {"value": 1}, name="ana's schedule", every=60, identity=ANA)
    client.schedule("echo", {"value": 1}, name="bob's schedule", every=60, identity=BOB)
    before = rows_of(client, "bob")
    dry = client.purge(subject="ana", tenant="acme", dry_run=True)
    assert client.search(subject="ana", tenant="acme").tasks, "it was only counted"
    report = client.purge(subject="ana", tenant="acme")
    assert (report.tables, report.tasks) == (dry.tables, 7)
    assert {"schedules", "idempotency_keys", "events", "deliveries"} <= set(report.tables)
    left = query(
        client,
        "SELECT DISTINCT tenant, identity ->> 'subject' AS subject FROM agent_tasks.tasks WHERE parent_id IS NULL",
    )
    assert sorted((row["tenant"], row["subject"]) for row in left) == [("acme", "bob"), ("other", "ana")]
    query(client, "DELETE FROM agent_tasks.tasks WHERE tenant = 'other'")
    query(client, "DELETE FROM agent_tasks.outbox WHERE tenant = 'other'")
    query(client, "DELETE FROM agent_tasks.deliveries WHERE tenant = 'other'")
    assert set(rows_of(client, "ana")) <= STAYS
    assert rows_of(client, "bob") == before
    assert client.purge(subject="ana", tenant="acme").tables == {}


def test_the_pause_of_a_task_goes_with_it_and_that_of_more_stays_as_the_audit_does(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(task, identity=ANA)
    client.pause(agent="echo", identity=Identity(subject="ana", tenant="acme", scopes=("tasks:all",)))
    client.purge(subject="ana", tenant="acme", cancel=True)
    assert [(pause.kind, pause.by) for pause in client.pauses(ended=True)] == [("agent", "ana")]
    assert set(rows_of(client, "ana")) == {"audit", "pauses"}


def test_a_tenant_goes_whole(client: AgentTasks) -> None:
    for who in (ANA, BOB, EVE):
        tree_of(client, who)
    assert client.purge(tenant="acme", identity=ROOT).tasks == 6
    assert {row["tenant"] for row in query(client, "SELECT tenant FROM agent_tasks.tasks WHERE parent_id IS NULL")} == {
        "other"
    }


def test_what_has_not_ended_is_refused_and_nothing_is_deleted(client: AgentTasks) -> None:
    ended, alive = tree_of(client, ANA), submitted(client, identity=ANA)
    for asked in ({"task": alive}, {"subject": "ana", "tenant": "acme"}, {"tenant": "acme"}):
        with pytest.raises(InvalidState, match="Cancel"):
            client.purge(**asked)  # type: ignore[arg-type]
    assert client.get(ended).snapshot().status == "completed"
    report = client.purge(subject="ana", tenant="acme", cancel=True)
    assert (report.tasks, report.cancelled) == (4, 1)


def test_one_that_lives_is_found_behind_however_many_others(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look passes over so many of others at most, and then goes on."""
    submitted(client, identity=ANA)
    ended = tree_of(client, ANA)
    for _ in range(3):
        submitted(client, identity=BOB)
    monkeypatch.setattr(purging.search, "tasks", partial(purging.search.tasks, looked_at=1, few=1))
    with pytest.raises(InvalidState, match="have not ended"):
        client.purge(subject="ana", tenant="acme")
    assert client.get(ended).snapshot().status == "completed"


def test_a_purge_that_is_cut_off_is_in_the_audit_with_what_it_has_done(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        tree_of(client, ANA)
    submitted(client, identity=ANA)
    monkeypatch.setattr(purging, "_BATCH", 1)
    erase, trees = purging.erase, list[UUID]()

    def cut_off(connection: Any, roots: Any) -> Any:
        if roots and len(trees) == 3:
            raise KeyboardInterrupt
        trees.extend(roots)
        return erase(connection, roots)

    monkeypatch.setattr(purging, "erase", cut_off)
    with pytest.raises(KeyboardInterrupt):
        client.purge(subject="ana", tenant="acme", cancel=True)
    (entry,) = client.audit(operation="purge")
    assert (entry.target, entry.answer) == ("ana", "accepted")
    assert entry.data is not None
    assert (entry.data["tables"]["tasks"], entry.data["cancelled"]) == (7, 1)
    monkeypatch.setattr(purging, "erase", erase)
    assert client.purge(subject="ana", tenant="acme").tasks == 3
    assert [(each.data or {})["tables"]["tasks"] for each in client.audit(operation="purge")] == [3, 7]


def test_one_whose_children_live_or_from_which_another_goes_on_stays_and_is_named(client: AgentTasks) -> None:
    old = submitted(client, identity=ANA)
    client.get(old).cancel()
    new = client.get(old).resume()
    with pytest.raises(InvalidState, match="resumed from it"):
        client.purge(old)
    report = client.purge(old, cancel=True)
    assert [(each.task_id, "resumed" in each.why) for each in report.kept] == [(old, True)]
    new.cancel()
    assert client.purge(old).tasks == 1


def test_one_that_still_undoes_its_steps_stays_until_it_has(client: AgentTasks) -> None:
    from tests.database import parked

    with client.database.connection() as connection:
        task = claimed(client, submitted(client, identity=ANA))
        parked(connection, task, undoable=True)
    report = client.purge(subject="ana", tenant="acme", cancel=True)
    assert [each.task_id for each in report.kept] == [task.id]
    undoing = claimed(client, task.id)
    with client.database.transaction() as connection:
        undo(connection, undoing)
    assert client.purge(subject="ana", tenant="acme").tasks == 1


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, InvalidInput), ({"tenant": ""}, InvalidInput), ({"task": "7"}, TaskNotFound),
        ({"task": "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77"}, TaskNotFound),
        ({"task": "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77", "tenant": "acme"}, InvalidInput),
        ({"tenant": "acme", "cancel": 1}, InvalidInput), ({"tenant": "acme", "identity": ANA}, PermissionDenied),
    ],
)  # fmt: skip
def test_what_means_nothing_or_is_not_ones_own_to_delete_is_refused(
    client: AgentTasks, asked: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        client.purge(**asked)


def test_a_child_alone_is_not_purged(client: AgentTasks) -> None:
    root = tree_of(client, ANA)
    child = client.get(root).children()[0].id
    with pytest.raises(InvalidInput, match=str(root)):
        client.purge(child)
