"""Schedules: whose they are, and who changes them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent_tasks import AgentTasks, Identity, InvalidInput, PermissionDenied
from agent_tasks.sweeps.schedules import run_once
from tests.database import query
from tests.database.scheduling import ANA, BOSS, row_named, tasks

BOB, EVE = Identity(subject="bob", tenant="acme"), Identity(subject="ana", tenant="evil", scopes=("tasks:all",))


def test_only_who_may_see_a_schedules_tasks_sees_it(client: AgentTasks) -> None:
    client.schedule("echo", every=60, name="hers", identity=ANA)
    client.schedule("echo", every=60, name="his", identity=BOB)
    client.schedule("echo", every=60, name="nobodys")
    seen = {
        identity.subject if identity else None: [schedule.name for schedule in client.schedules(identity=identity)]
        for identity in (ANA, BOB, BOSS, None)
    }
    assert seen == {"ana": ["hers"], "bob": ["his"], "boss": ["hers", "his"], None: ["hers", "his", "nobodys"]}
    assert client.schedules(identity=EVE) == []


@pytest.mark.parametrize("other", [BOB, EVE])
@pytest.mark.parametrize("owner", [ANA, None])
def test_a_schedule_of_somebody_else_is_neither_changed_nor_removed_and_does_not_exist_for_others(
    client: AgentTasks, owner: Identity | None, other: Identity
) -> None:
    client.schedule("echo", {"value": 1}, every=60, identity=owner)
    before = row_named(client)
    assert client.unschedule("echo", identity=other) is client.unschedule("nothing", identity=other) is False
    assert client.schedules(identity=other) == []
    assert row_named(client) == before


def test_of_one_tenant_a_name_is_one_persons(client: AgentTasks) -> None:
    client.schedule("echo", {"value": 1}, every=60, identity=ANA)
    before = row_named(client)
    with pytest.raises(PermissionDenied, match="somebody else of the tenant") as caught:
        client.schedule("echo", {"value": 2}, every=60, identity=BOB)
    assert caught.value.details == {"schedule": "echo"}
    assert "ana" not in caught.value.message
    assert row_named(client) == before


def test_names_are_told_apart_by_tenant_and_each_fires_for_its_own(client: AgentTasks) -> None:
    owners = (None, ANA, EVE)
    for number, owner in enumerate(owners):
        made = client.schedule("echo", {"value": number}, every=60, name="payroll", identity=owner)
        assert (made.name, made.tenant) == ("payroll", owner.tenant if owner else "")
    query(
        client, "UPDATE agent_tasks.schedules SET next_at = clock_timestamp() - interval '1 s' WHERE tenant <> 'acme'"
    )
    assert run_once(client) == 2
    assert [(task["input"], task["tenant"]) for task in tasks(client)] == [({"value": 0}, ""), ({"value": 2}, "evil")]
    fired = query(client, "SELECT tenant FROM agent_tasks.schedules WHERE last_task_id IS NOT NULL ORDER BY 1")
    assert [row["tenant"] for row in fired] == ["", "evil"]
    assert client.unschedule("payroll", identity=ANA)
    assert client.unschedule("payroll")  # that of no tenant
    assert client.unschedule("payroll")  # the only one left
    assert client.schedules() == []


def test_a_trusted_program_says_which_tenants_schedule_it_means_where_there_are_several(client: AgentTasks) -> None:
    for owner in (ANA, EVE):
        client.schedule("echo", every=60, name="payroll", identity=owner)
    with pytest.raises(InvalidInput, match="acme, evil"):
        client.unschedule("payroll")
    assert len(client.schedules()) == 2
    assert not client.unschedule("payroll", tenant="other")
    assert not client.unschedule("payroll", tenant="evil", identity=ANA)
    assert client.unschedule("payroll", tenant="evil")
    assert [each.tenant for each in client.schedules()] == ["acme"]


@pytest.mark.parametrize("who", [ANA, BOSS])
def test_its_owner_and_who_may_see_all_change_and_remove_a_schedule(client: AgentTasks, who: Identity) -> None:
    client.schedule("echo", {"value": 1}, every=60, identity=ANA)
    client.schedule("echo", {"value": 2}, every=60, identity=who)
    assert row_named(client)["input"] == {"value": 2}
    assert client.unschedule("echo", identity=who)


def test_of_two_who_take_a_name_at_once_one_has_it(client: AgentTasks) -> None:
    for _ in range(5):
        barrier = threading.Barrier(2)

        def take(who: Identity, barrier: threading.Barrier = barrier) -> str | None:
            barrier.wait(10)
            try:
                client.schedule("echo", every=60, identity=who)
            except PermissionDenied:
                return None
            return who.subject

        with ThreadPoolExecutor(2) as threads:
            winners = [winner for winner in threads.map(take, (ANA, BOB)) if winner]
        assert winners == [row_named(client)["options"]["identity"]["subject"]]
        client.unschedule("echo")
