"""Replays by a real deliverer: what was given up or missed comes in the end, with its id, in order."""

import json

from agent_tasks import AgentTasks
from tests.database import query
from tests.database.webhooks import ended
from tests.eventually import eventually
from tests.processes import Processes
from tests.webhooks.delivering import deliveries, delivering, ended_well, endpoint, told
from tests.webhooks.receiver import Receiver, receiving


def sequences(receiver: Receiver, path: str) -> list[int]:
    return [json.loads(each.body)["data"]["sequence"] for each in receiver.at(path)]


def test_what_was_missed_while_an_endpoint_was_disabled_comes_once_and_in_order(
    client: AgentTasks, processes: Processes
) -> None:
    with receiving() as receiver:
        endpoint(client, f"{receiver.url}/a", name="a")
        client.webhooks.disable("a")
        tasks = [told(client, 3) for _ in range(3)]
        client.webhooks.enable("a")
        processes.deliverer()
        assert client.webhooks.replay_range("a") == 3 * 4
        ended_well(client)
        for task in tasks:
            came = [each for each in receiver.at("/a") if json.loads(each.body)["data"]["task_id"] == str(task)]
            assert [json.loads(each.body)["type"] for each in came] == ["task.submitted", *["found"] * 3]
            numbers = [json.loads(each.body)["data"]["sequence"] for each in came]
            assert numbers == sorted(set(numbers))
        assert len(receiver.received) == 12
        assert client.webhooks.replay_range("a") == 0


def test_a_replay_has_the_id_of_the_first_attempt(client: AgentTasks) -> None:
    with receiving(a=[500, 204]) as receiver:
        endpoint(client, f"{receiver.url}/a")
        told(client)
        with delivering(client):
            ended_well(client)
            (row,) = deliveries(client)
            made = client.webhooks.replay(row["id"])
            eventually(lambda: client.webhooks.delivery(made.id).status == "delivered")
        ids = [each.headers["webhook-id"] for each in receiver.at("/a")]
    assert ids == [made.event_id] * 3


def test_a_replay_comes_before_what_comes_later_in_its_task_and_is_still_to_be_delivered(client: AgentTasks) -> None:
    with receiving() as receiver:
        endpoint(client, f"{receiver.url}/a", name="a")
        told(client, 3)
        first, second, *_ = deliveries(client)
        for row in (first, second):
            ended(client, row["id"])
        for row in (second, first):  # whichever is asked for first
            client.webhooks.replay(row["id"])
        with delivering(client):
            eventually(lambda: len(receiver.at("/a")) == 4)
        numbers = sequences(receiver, "/a")
    assert numbers == sorted(numbers)


def test_what_waits_for_hours_comes_at_once_when_it_is_replayed(client: AgentTasks) -> None:
    """The endpoint is mended: the deliveries and the lane that fail are tried now, not at their next time."""
    with receiving() as receiver:
        hook = endpoint(client, f"{receiver.url}/a", name="a")
        told(client, 2)
        sql = "UPDATE agent_tasks.deliveries SET attempt = 4, due_at = clock_timestamp() + interval '5 h'"
        query(client, sql)
        lane = "INSERT INTO agent_tasks.lanes VALUES (%s, 9, now() - interval '1 h', now() + interval '5 h')"
        query(client, lane, f"webhook:{hook}")
        with delivering(client):
            assert client.webhooks.replay_range("a") == 3
            ended_well(client)
        assert sequences(receiver, "/a") == sorted(set(sequences(receiver, "/a")))
        assert {row["attempt"] for row in deliveries(client)} == {5}


def test_the_feed_has_what_the_endpoint_was_sent(client: AgentTasks) -> None:
    with receiving() as receiver:
        endpoint(client, f"{receiver.url}/a", name="a")
        told(client, 2)
        client.webhooks.ping("a")
        with delivering(client):
            ended_well(client)
        sent = {each.headers["webhook-id"]: json.loads(each.body) for each in receiver.at("/a")}
    events = client.webhooks.feed().events
    assert {event.id: event.model_dump(mode="json", exclude={"id"}) for event in events} == {
        id: body for id, body in sent.items() if body["type"] != "webhook.ping"
    }
    assert len(sent) == len(events) + 1
