"""Claims of deliveries: each belongs to one attempt, what comes too early is parked, and nothing stays parked."""

import random
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Identity
from agent_tasks.transitions import delivery, lane
from agent_tasks.transitions.delivery import Claimed, Found, Outcome
from tests.database import BLOCKED, query
from tests.eventually import eventually
from tests.webhooks.delivering import deliveries, emitted, endpoint, statuses, told

TERMS: dict[str, Any] = {"room": {}, "usual_room": 100, "limit": 1000, "failing": 5, "lease_seconds": 60}
TERMS |= {"tenant_room": {}, "usual_tenant_room": 1000}


def found(client: AgentTasks, **terms: Any) -> Found:
    with client.database.transaction() as connection:
        return delivery.claim(connection, **{**TERMS, **terms})


def claim(client: AgentTasks, **terms: Any) -> list[Claimed]:
    return found(client, **terms).claimed


def ended(each: Claimed, status: delivery.Ending = "delivered", **said: Any) -> Outcome:
    return Outcome(each["id"], each["attempt"], status, **said)


def finish(client: AgentTasks, *outcomes: Outcome) -> int:
    """How many of them were still those of their attempts."""
    with client.database.transaction() as connection:
        return len(delivery.finish(connection, outcomes)[0])


def sequences(claimed: list[Claimed]) -> list[int | None]:
    return [each["seq"] for each in claimed]


def parked(client: AgentTasks) -> list[int]:
    return [row["seq"] for row in deliveries(client) if row["status"] == "pending" and row["due_at"] is None]


def lapse(client: AgentTasks) -> None:
    """All leases are over, and all pauses."""
    query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")
    query(client, "UPDATE agent_tasks.lanes SET retry_at = NULL")


def test_the_first_of_each_task_is_claimed_and_the_others_are_parked_until_it_ends(client: AgentTasks) -> None:
    endpoint(client, "https://a.example")
    one, two = told(client, 2), told(client, 2)
    first = claim(client)
    assert {each["task_id"] for each in first} == {one, two}
    assert sequences(first) == [1, 1]
    assert len(parked(client)) == 4
    assert claim(client) == []
    finish(client, *(ended(each) for each in first))
    second = claim(client)
    assert {each["task_id"] for each in second} == {one, two}
    assert len({each["seq"] for each in second}) == 1
    assert len(parked(client)) == 2


def test_a_delivery_whose_lease_is_over_is_claimed_again_and_the_first_claim_writes_nothing_more(
    client: AgentTasks,
) -> None:
    endpoint(client, "https://a.example")
    told(client)
    (lost,) = claim(client)
    assert claim(client) == []
    lapse(client)
    (again,) = claim(client)
    assert (again["id"], again["attempt"]) == (lost["id"], lost["attempt"] + 1)
    assert finish(client, ended(lost, "failed", error="too late")) == 0
    assert finish(client, ended(again)) == 1
    assert finish(client, ended(again, "failed")) == 0
    assert statuses(client) == {"delivered"}


@pytest.mark.parametrize("status", ["delivered", "failed", "dropped"])
def test_whatever_ends_an_earlier_one_wakes_the_next(client: AgentTasks, status: delivery.Ending) -> None:
    endpoint(client, "https://a.example")
    told(client, 1)
    (first,) = claim(client)
    finish(client, ended(first, status))
    assert len(claim(client)) == 1


def test_one_that_is_tried_again_holds_the_next_ones_up(client: AgentTasks) -> None:
    endpoint(client, "https://a.example")
    told(client, 2)
    (first,) = claim(client)
    finish(client, ended(first, "pending", delay=600.0, error="busy"))
    assert claim(client) == []
    assert len(parked(client)) == 2


def test_one_that_is_about_to_end_is_neither_overtaken_nor_does_it_leave_anything_parked(client: AgentTasks) -> None:
    endpoint(client, "https://a.example")
    task_id = told(client)
    (first,) = claim(client)
    with client.database.transaction() as connection:
        delivery.finish(connection, [ended(first)])  # and has looked for what it wakes
        emitted(client, task_id, 1)
        assert found(client).claimed == []
        assert parked(client) == []
    assert len(claim(client)) == 1


def test_one_that_ends_while_the_next_is_being_parked_waits_for_that_and_wakes_it(client: AgentTasks) -> None:
    endpoint(client, "https://a.example")
    told(client, 1)
    (first,) = claim_first(client)
    ending = threading.Thread(target=finish, args=(client, ended(first)))
    with client.database.transaction() as connection:
        assert delivery.claim(connection, **TERMS).moved == 1
        ending.start()
        eventually(lambda: query(client, BLOCKED))
    ending.join()
    assert parked(client) == []
    assert len(claim(client)) == 1


def claim_first(client: AgentTasks) -> list[Claimed]:
    """Claim the first of the only task, and park nothing."""
    query(
        client,
        "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp() + interval '1 h' "
        "WHERE seq > (SELECT min(seq) FROM agent_tasks.deliveries)",
    )
    claimed = claim(client)
    query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp() WHERE attempt = 0")
    return claimed


def test_a_claim_waits_for_nobody(client: AgentTasks) -> None:
    hook = endpoint(client, "https://a.example")
    other = endpoint(client, "https://b.example")
    told(client, 1)
    with client.database.transaction() as connection:
        connection.execute("SELECT FROM agent_tasks.deliveries WHERE webhook_id = %s FOR UPDATE", [hook])
        connection.execute(
            "INSERT INTO agent_tasks.lanes (name, failures, failing_since) VALUES (%s, 9, now())", [f"webhook:{hook}"]
        )
        assert {each["webhook_id"] for each in claim(client)} == {other}


def test_a_lane_gets_as_many_as_it_has_room_for_and_one_where_it_fails(client: AgentTasks) -> None:
    hooks = [endpoint(client, "https://a.example", ordered=False) for _ in range(3)]
    names = [f"webhook:{hook}" for hook in hooks]
    told(client, 5)
    query(
        client,
        "INSERT INTO agent_tasks.lanes (name, failures, failing_since) VALUES (%s, 5, clock_timestamp())",
        names[0],
    )
    got = [each["lane"] for each in claim(client, room={names[1]: 2}, usual_room=4)]
    assert [got.count(name) for name in names] == [1, 2, 4]
    got = [each["lane"] for each in claim(client, room={names[1]: 0}, usual_room=4)]
    assert [got.count(name) for name in names] == [0, 0, 2]


def test_a_lane_that_pauses_is_left_alone_and_what_is_over_is_named(client: AgentTasks) -> None:
    hook, over = endpoint(client, "https://a.example"), endpoint(client, "https://b.example")
    told(client)
    with client.database.transaction() as connection:
        lane.failed(connection, {f"webhook:{hook}": 1}, given_up_seconds=60)
        lane.pause(connection, {f"webhook:{hook}": 60.0}, {})
    query(
        client,
        "UPDATE agent_tasks.webhooks SET disabled_at = clock_timestamp(), disabled_why = 'asked' WHERE id = %s",
        over,
    )
    looked = found(client)
    assert (looked.claimed, looked.over) == ([], [f"webhook:{over}"])


def test_a_drop_of_half_a_task_leaves_the_rest_to_be_found(client: AgentTasks) -> None:
    hook = endpoint(client, "https://a.example")
    told(client, 3)
    (first,) = claim(client)
    query(client, "DELETE FROM agent_tasks.webhooks WHERE id = %s", hook)
    with client.database.transaction() as connection:
        assert delivery.drop(connection, first["lane"], limit=2) == 2
    assert found(client).over == [first["lane"]]
    with client.database.transaction() as connection:
        assert delivery.drop(connection, first["lane"], limit=100) == 2
    assert statuses(client) == {"dropped"}


def test_rivals_that_claim_and_end_at_once_deliver_all_in_order_and_leave_nothing_parked(client: AgentTasks) -> None:
    hooks = [endpoint(client, "https://a.example"), endpoint(client, "https://b.example")]
    tasks: list[UUID] = [told(client) for _ in range(3)]
    accepted: dict[tuple[Any, Any], list[int]] = {}
    lock = threading.Lock()
    errors: list[BaseException] = []
    told_all = threading.Event()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            while not (told_all.is_set() and statuses(client) == {"delivered"}):
                mine = client.database.run(
                    lambda connection: delivery.claim(connection, **{**TERMS, "usual_room": chance.randint(1, 5)})
                ).claimed
                outcomes: list[Outcome] = []
                for each in mine:
                    fails = chance.random() < 0.2
                    outcomes.append(ended(each, "pending" if fails else "delivered", delay=0.0))
                    if not fails:
                        with lock:
                            accepted.setdefault((each["lane"], each["task_id"]), []).append(each["seq"] or 0)
                chance.shuffle(outcomes)
                client.database.run(lambda connection, outcomes=outcomes: delivery.finish(connection, outcomes))
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for task_id in tasks:
        emitted(client, task_id, 15)
    told_all.set()
    for worker in workers:
        worker.join(60)
    assert not errors
    assert statuses(client) == {"delivered"}
    assert parked(client) == []
    assert len(accepted) == len(hooks) * len(tasks)
    for got in accepted.values():
        assert got == sorted(set(got))
        assert len(got) == 16


def failing(client: AgentTasks, name: str, failures: int, *, since: str, last: str = "0 s") -> None:
    """A lane that has failed since, and for the last time."""
    sql = """
        INSERT INTO agent_tasks.lanes (name, failures, failing_since, last_at)
        VALUES (%s, %s, clock_timestamp() - %s::interval, clock_timestamp() - %s::interval)
    """
    query(client, sql, name, failures, since, last)


def failed_again(client: AgentTasks, name: str) -> lane.FailingRow:
    with client.database.transaction() as connection:
        (row,) = lane.failed(connection, {name: 1}, given_up_seconds=5 * 86_400.0)
    return row


@pytest.mark.parametrize(
    ("failures", "since", "last", "counted", "is_given_up"),
    [
        (9, "6 days", "26 h", 10, True),
        (9, "4 days", "26 h", 10, False),
        (8, "6 days", "26 h", 9, False),  # they say too little
        (40, "6 days", "28 h", 1, False),  # after a silence, of which nothing is known
    ],
)
def test_a_lane_is_given_up_after_enough_failures_for_days_without_a_silence(
    client: AgentTasks, failures: int, since: str, last: str, counted: int, is_given_up: bool
) -> None:
    failing(client, "lane", failures, since=since, last=last)
    row = failed_again(client, "lane")
    assert (row["failures"], row["is_given_up"]) == (counted, is_given_up)
    (kept,) = query(client, "SELECT *, clock_timestamp() - failing_since AS age FROM agent_tasks.lanes")
    assert (kept["age"] < timedelta(hours=1)) == (counted == 1)
    assert failed_again(client, "lane")["failures"] == counted + 1


@pytest.mark.parametrize("later", [["failed"], ["worked"], ["worked", "failed"], ["failed", "worked"]])
def test_a_lane_is_left_alone_for_as_long_as_it_has_asked_for_whatever_it_answers_later(
    client: AgentTasks, later: list[str]
) -> None:
    hook = endpoint(client, "https://a.example")
    name = f"webhook:{hook}"
    told(client)
    with client.database.transaction() as connection:
        lane.failed(connection, {name: 1}, given_up_seconds=60)
        lane.pause(connection, {}, {name: 300.0})
    for each in later:
        with client.database.transaction() as connection:
            if each == "worked":
                lane.worked(connection, [name])
            else:
                lane.failed(connection, {name: 1}, given_up_seconds=60)
                lane.pause(connection, {name: 0.0}, {name: 1.0})
    assert claim(client) == []
    query(client, "UPDATE agent_tasks.lanes SET asked_until = clock_timestamp()")
    assert len(claim(client)) == 1
    with client.database.transaction() as connection:
        lane.worked(connection, [name])
    assert query(client, "SELECT FROM agent_tasks.lanes") == []


def test_a_tenant_gets_no_more_than_it_has_room_for_and_hides_no_other(client: AgentTasks) -> None:
    for tenant in ("a", "b", "c"):
        endpoint(client, f"https://{tenant}.example", tenant=tenant)
        for _ in range(4):
            client.submit("echo", {"value": 1}, identity=Identity(subject="ana", tenant=tenant))
    terms: dict[str, Any] = {"tenant_room": {"a": 0, "b": 2}, "usual_tenant_room": 3}
    got = [each["tenant"] for each in claim(client, limit=8, **terms) + claim(client, limit=8, tenant_room={"a": 0})]
    assert [got.count(tenant) for tenant in ("a", "b", "c")] == [0, 4, 4]
    assert {each["tenant"] for each in claim(client)} == {"a"}


def test_what_is_old_of_a_lane_that_only_fails_ends_as_failed_but_for_what_is_being_sent(client: AgentTasks) -> None:
    endpoint(client, "https://a.example")
    old, sent, young = told(client, 1), told(client), told(client)
    name = deliveries(client)[0]["lane"]

    def give_up() -> int:
        with client.database.transaction() as connection:
            return delivery.give_up(connection, name, seconds=5 * 86_400.0, lease_seconds=60.0, limit=1)

    aged = "UPDATE agent_tasks.deliveries SET created_at = created_at - interval '6 days' WHERE task_id = ANY (%s)"
    query(client, aged, [old, sent])
    query(client, "UPDATE agent_tasks.deliveries SET last_at = clock_timestamp() WHERE task_id = %s", sent)
    assert give_up() == 0  # the lane works
    failing(client, name, 40, since="4 days")
    assert give_up() == 0
    query(client, "UPDATE agent_tasks.lanes SET failing_since = failing_since - interval '2 days'")
    assert [give_up() for _ in range(3)] == [1, 1, 0]
    assert statuses(client, old) == {"failed"}
    assert {row["error"] for row in deliveries(client, old)} == {"its receiver has failed for too long"}
    assert statuses(client, sent) | statuses(client, young) == {"pending"}


def test_an_attempt_that_was_given_back_is_none_of_those_that_count(client: AgentTasks) -> None:
    endpoint(client, "https://a.example")
    told(client)
    for counted in (True, False, True):
        (each,) = claim(client)
        assert finish(client, ended(each, "pending", delay=0.0, is_counted=counted)) == 1
    (each,) = claim(client)
    assert (each["attempt"], each["given_back"]) == (4, 1)
