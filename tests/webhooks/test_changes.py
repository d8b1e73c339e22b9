"""The deliverer: stops, and endpoints that change while something is being sent to them."""

import asyncio
import threading
from typing import Any

import pytest

from agent_tasks import AgentTasks
from agent_tasks.store.errors import ServerAway
from agent_tasks.store.queries import read
from tests.database import query
from tests.eventually import eventually
from tests.webhooks.delivering import deliveries, delivering, ended_well, endpoint, statuses, told
from tests.webhooks.received import disabled, lanes
from tests.webhooks.receiver import Receiver


def test_a_deliverer_that_is_stopped_gives_back_what_it_sends(
    client: AgentTasks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.webhooks.deliverer._LEAVE_SECONDS", 0.1)
    receiver.says["/a"] = ["hang", 204]
    endpoint(client, f"{receiver.url}/a")
    told(client)
    with delivering(client, webhook_seconds=30.0):
        eventually(lambda: receiver.at("/a"))
    (row,) = deliveries(client)
    assert (row["status"], row["error"]) == ("pending", "the deliverer was stopped")
    assert (row["attempt"], row["given_back"]) == (1, 1)
    with delivering(client):
        ended_well(client)


def test_an_attempt_that_is_given_back_uses_up_none_of_the_ten(
    client: AgentTasks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [ServerAway("it is going")]

    def find(connection: Any, task_id: Any) -> Any:
        if away:
            raise away.pop()
        return real(connection, task_id)

    real = read.find
    monkeypatch.setattr("agent_tasks.webhooks.attempt.read.find", find)
    receiver.says["/a"] = [500, 204]
    endpoint(client, f"{receiver.url}/a", payload="full")
    told(client)
    query(client, "UPDATE agent_tasks.deliveries SET attempt = 8")
    with delivering(client):
        eventually(lambda: [(row["attempt"], row["answer"]) for row in deliveries(client)] == [(10, 500)])
        query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")
        ended_well(client)
    (row,) = deliveries(client)
    assert (row["attempt"], row["given_back"]) == (11, 1)
    assert lanes(client) == []


def moved(client: AgentTasks, receiver: Receiver) -> None:
    query(client, "UPDATE agent_tasks.webhooks SET url = %s", f"{receiver.url}/new")


@pytest.mark.parametrize(("change", "status"), [(moved, "delivered"), (disabled, "dropped")])
def test_after_a_look_up_that_took_long_it_is_asked_again_whether_it_is_to_be_sent(
    client: AgentTasks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, change: Any, status: str
) -> None:
    monkeypatch.setattr("agent_tasks.webhooks.attempt._FRESH_SECONDS", 0.0)  # any takes longer

    async def resolve(host: str, port: int) -> list[str]:
        change(client, receiver)
        return ["127.0.0.1"]

    endpoint(client, f"http://slow.example:{receiver.port}/old")
    told(client)
    with delivering(client, resolve=resolve):
        eventually(lambda: statuses(client) == {status})
    assert [each.path for each in receiver.received] == ["/new"] * (status == "delivered")


def test_what_the_old_url_answered_with_410_is_sent_to_the_new_one_and_drops_nothing(
    client: AgentTasks, receiver: Receiver
) -> None:
    receiver.says["/old"] = ["hang", 410]
    receiver.says["/new"] = ["hang", 204]
    endpoint(client, f"{receiver.url}/old")
    told(client)
    with delivering(client):
        eventually(lambda: receiver.at("/old"))
        moved(client, receiver)
        told(client)
        eventually(lambda: receiver.at("/new"))
        receiver.let_go.set()
        ended_well(client)
    assert len(receiver.at("/old")) == 1
    assert query(client, "SELECT FROM agent_tasks.webhooks WHERE disabled_at IS NULL")


def test_what_is_about_to_be_sent_to_the_new_url_does_not_mind_the_old_ones_410(
    client: AgentTasks, receiver: Receiver
) -> None:
    resolving, answered = threading.Event(), threading.Event()

    async def resolve(host: str, port: int) -> list[str]:
        resolving.set()
        await asyncio.to_thread(answered.wait, 20)
        return ["127.0.0.1"]

    receiver.says["/old"] = ["hang", 410]
    endpoint(client, f"{receiver.url}/old")
    first = told(client)
    with delivering(client, resolve=resolve, webhook_seconds=30.0):
        eventually(lambda: receiver.at("/old"))
        query(client, "UPDATE agent_tasks.webhooks SET url = %s", f"http://new.example:{receiver.port}/new")
        told(client)
        eventually(resolving.is_set)
        receiver.let_go.set()
        eventually(lambda: deliveries(client, first)[0]["answer"] == 410)
        answered.set()
        ended_well(client)
    assert len(receiver.at("/new")) == 2


def test_a_pause_that_was_asked_for_outlives_what_others_in_flight_are_answered(
    client: AgentTasks, receiver: Receiver
) -> None:
    receiver.says["/a"] = ["503 Retry-After: 100", 500, 204]
    endpoint(client, f"{receiver.url}/a", ordered=False)
    for _ in range(4):
        told(client)
    with delivering(client, webhook_retry_scale=1.0):
        eventually(lambda: sum(row["attempt"] == 1 and row["answer"] is not None for row in deliveries(client)) == 4)
        told(client)
        told(client, callback=f"{receiver.url}/b")
        query(client, "UPDATE agent_tasks.deliveries SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")
        other = endpoint(client, f"{receiver.url}/other")
        told(client)
        eventually(lambda: receiver.at("/other"))
    assert len(receiver.at("/a")) == 4
    assert other
