"""The deliverer: receivers that do something wrong, fail or are gone."""

from datetime import timedelta

import pytest

from agent_tasks import AgentTasks
from tests.database import claimed, parked, query
from tests.eventually import eventually
from tests.webhooks.delivering import deliveries, delivering, ended_well, endpoint, statuses, told
from tests.webhooks.received import data_of, ids, lanes
from tests.webhooks.receiver import Receiver


@pytest.mark.parametrize(
    ("behaviour", "answer", "error"),
    [
        (500, 500, "it answered 500"),
        (404, 404, "it answered 404"),
        ("redirect", 302, "it answered 302"),
        ("close", None, "without sending a response"),
        ("nonsense", None, "the answer is no HTTP"),
        ("hang", None, "no whole answer within 0.5 seconds"),
        ("drip", None, "no whole answer within 0.5 seconds"),
    ],
)
def test_whatever_a_receiver_does_wrong_is_said_and_tried_again(
    client: AgentTasks, receiver: Receiver, behaviour: str | int, answer: int | None, error: str
) -> None:
    receiver.says["/a"] = [behaviour, 204]
    endpoint(client, f"{receiver.url}/a")
    task_id = told(client)
    with delivering(client, webhook_retry_scale=1.0, webhook_seconds=0.5):
        eventually(lambda: deliveries(client)[0]["error"])
    (row,) = deliveries(client, task_id)
    assert (row["status"], row["answer"], row["attempt"]) == ("pending", answer, 1)
    assert error in row["error"]
    assert timedelta(seconds=4.5) < row["due_at"] - row["last_at"] < timedelta(seconds=7)
    assert [each.path for each in receiver.received] == ["/a"]
    with delivering(client):
        query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp()")
        ended_well(client)
    assert len(set(ids(receiver.at("/a")))) == 1


def test_of_ten_gigabytes_that_it_answers_with_only_the_head_matters(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = ["endless"]
    endpoint(client, f"{receiver.url}/a")
    told(client)
    with delivering(client):
        ended_well(client)


@pytest.mark.parametrize(
    ("said", "low", "high"),
    [
        ("Retry-After: 100", 100, 112),
        ("Retry-After: 9999999999999", 86_400, 96_000),
        ("Retry-After: Fri, 31 Feb 2098 25:61:00 GMT", 4.9, 6.5),
        ("Retry-After: Fri, ", 4.9, 6.5),
        ("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", 4.9, 6.5),
        ("Retry-After: -5", 4.9, 6.5),
        ("Retry-After: NaN", 4.9, 6.5),
    ],
)
def test_a_receiver_says_when_to_come_again_unless_it_is_nonsense(
    client: AgentTasks, receiver: Receiver, said: str, low: float, high: float
) -> None:
    receiver.says["/a"] = [f"429 {said}"]
    endpoint(client, f"{receiver.url}/a")
    told(client)
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: deliveries(client)[0]["error"])
    (row,) = deliveries(client)
    assert low <= (row["due_at"] - row["last_at"]).total_seconds() <= high
    (lane,) = lanes(client)
    asked = lane["asked_until"]
    assert (asked is not None and asked > row["last_at"] + timedelta(seconds=90)) == (low >= 100)
    assert lane["retry_at"] is None


def test_after_ten_attempts_it_has_failed_and_the_next_event_is_told(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = [500] * 10 + [204]
    endpoint(client, f"{receiver.url}/a")
    task_id = told(client, 1)
    with delivering(client, webhook_retry_scale=0.00001):
        eventually(lambda: statuses(client) == {"failed", "delivered"})
    first, second = deliveries(client, task_id)
    assert (first["status"], first["attempt"], first["answer"], first["due_at"]) == ("failed", 10, 500, None)
    assert (second["status"], second["attempt"]) == ("delivered", 1)
    assert lanes(client) == []


def test_an_endpoint_that_is_gone_is_disabled_and_told_nothing_more(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/gone"] = [204, 410]
    gone = endpoint(client, f"{receiver.url}/gone", name="gone")
    endpoint(client, f"{receiver.url}/other", types=["webhook.disabled"])
    endpoint(client, f"{receiver.url}/elsewhere", tenant="elsewhere")
    with delivering(client):
        first = told(client, 3)
        eventually(lambda: statuses(client, first) == {"delivered", "failed", "dropped"})
        third = told(client, 1)
        (other,) = eventually(lambda: receiver.at("/other"))
    assert [each.path for each in receiver.received].count("/gone") == 2
    assert [row["status"] for row in deliveries(client, first)] == ["delivered", "failed", "dropped", "dropped"]
    assert deliveries(client, third) == []
    assert data_of(other) | {"timestamp": ""} == {
        "type": "webhook.disabled", "timestamp": "", "data": {"webhook": "gone", "why": "gone"},
    }  # fmt: skip
    assert receiver.at("/elsewhere") == []
    (row,) = query(client, "SELECT * FROM agent_tasks.webhooks WHERE id = %s", gone)
    assert (row["disabled_why"], row["disabled_at"] is None) == ("gone", False)
    (entry,) = client.audit(operation="disable_webhook")
    assert (entry.target, entry.door, entry.data) == ("gone", "deliverer", {"why": "gone"})


def test_a_callback_that_is_gone_is_told_nothing_more_of_its_task(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/gone"] = [410]
    with delivering(client):
        task_id = told(client, callback=f"{receiver.url}/gone")
        with client.database.connection() as connection:
            parked(connection, claimed(client, task_id))
        eventually(lambda: statuses(client, task_id) == {"failed"})
        client.get(task_id).cancel()
        eventually(lambda: statuses(client, task_id) == {"failed", "dropped"})
        other = told(client, callback=f"{receiver.url}/other")
        client.get(other).cancel()
        eventually(lambda: receiver.at("/other"))
    assert len(receiver.at("/gone")) == 1


def test_five_days_of_nothing_but_failures_disable_an_endpoint(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = receiver.says["/b"] = [500]
    old, new = endpoint(client, f"{receiver.url}/a", name="a"), endpoint(client, f"{receiver.url}/b")
    told(client)
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: len(lanes(client)) == 2)
    query(
        client,
        "UPDATE agent_tasks.lanes SET failures = 9, failing_since = failing_since - interval '5 days' WHERE name = %s",
        f"webhook:{old}",
    )
    query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp()")
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: query(client, "SELECT FROM agent_tasks.webhooks WHERE disabled_why = 'failing'"))
        eventually(lambda: statuses(client) == {"pending", "dropped"})
        eventually(lambda: len(receiver.at("/b")) >= 2)
    assert [row["webhook_id"] for row in deliveries(client) if row["status"] == "dropped"] == [old]
    assert [row["id"] for row in query(client, "SELECT id FROM agent_tasks.webhooks WHERE disabled_at IS NULL")] == [
        new
    ]
    assert client.audit(operation="disable_webhook")[0].data == {"why": "failing"}


def test_one_success_and_what_failed_before_is_forgotten(client: AgentTasks, receiver: Receiver) -> None:
    receiver.says["/a"] = [500, 500, 204]
    endpoint(client, f"{receiver.url}/a")
    told(client)
    with delivering(client):
        eventually(lambda: lanes(client))
        ended_well(client)
    assert lanes(client) == []


def test_a_lane_that_has_not_failed_for_more_than_a_day_is_forgotten(client: AgentTasks) -> None:
    for name, age in (("old", "28 h"), ("new", "26 h")):
        sql = """
            INSERT INTO agent_tasks.lanes (name, failures, failing_since, last_at)
            VALUES (%s, 1, now() - interval '9 d', now() - %s::interval)
        """
        query(client, sql, name, age)
    with delivering(client):
        eventually(lambda: len(lanes(client)) == 1)
    assert lanes(client)[0]["name"] == "new"


def test_callbacks_that_only_fail_for_five_days_end_and_those_that_came_since_are_tried(
    client: AgentTasks, receiver: Receiver
) -> None:
    receiver.says["/a"] = [500]
    old, new = told(client, callback=f"{receiver.url}/a"), told(client, callback=f"{receiver.url}/a")
    for task_id in (old, new):
        client.get(task_id).cancel()
    (row, _) = deliveries(client)
    query(
        client,
        "INSERT INTO agent_tasks.lanes (name, failures, failing_since) VALUES (%s, 40, now() - interval '5 days')",
        row["lane"],
    )
    query(
        client,
        "UPDATE agent_tasks.deliveries SET created_at = now() - interval '6 days', due_at = now() + interval '1 h' "
        "WHERE task_id = %s",
        old,
    )
    with delivering(client):
        eventually(lambda: statuses(client, old) == {"failed"})
    assert statuses(client, new) <= {"pending", "failed"}
    assert receiver.received
    (ended,) = deliveries(client, old)
    assert (ended["attempt"], ended["error"]) == (0, "its receiver has failed for too long")
