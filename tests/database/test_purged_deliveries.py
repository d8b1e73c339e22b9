"""What webhooks were told of is kept for a while after it is over, and then goes."""

from datetime import timedelta

import pytest

from agent_tasks import AgentTasks
from agent_tasks.sweeps import deliveries as sweep
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.sweeps.sweeper import Sweeper
from tests.database import query
from tests.database.webhooks import deliveries, ended, endpoint


def outbox(client: AgentTasks) -> int:
    (row,) = query(client, "SELECT count(*) AS n FROM agent_tasks.outbox")
    return row["n"]


def age(client: AgentTasks, *, days: float) -> None:
    """All that is there happened, and ended, so many days earlier."""
    by = timedelta(days=days)
    query(client, "UPDATE agent_tasks.outbox SET at = at - %s", by)
    query(client, "UPDATE agent_tasks.deliveries SET created_at = created_at - %s, ended_at = ended_at - %s", by, by)


@pytest.mark.parametrize("status", ["delivered", "failed", "dropped"])
def test_what_is_over_goes_when_it_is_a_week_old(client: AgentTasks, status: str) -> None:
    billing = endpoint(client)
    client.submit("echo", {"value": 1})
    ended(client, deliveries(client, billing)[0]["id"], status)
    age(client, days=6.9)
    assert sweep.run_once(client) == 0
    age(client, days=0.2)
    assert sweep.run_once(client) == 1
    assert outbox(client) == len(deliveries(client, billing)) == 0


def test_what_is_still_to_be_delivered_stays_however_old(client: AgentTasks) -> None:
    billing = endpoint(client)
    client.submit("echo", {"value": 1})
    age(client, days=400)
    assert sweep.run_once(client) == 0
    assert outbox(client) == len(deliveries(client, billing)) == 1


def test_an_event_stays_with_all_its_deliveries_until_the_last_of_them_is_a_week_old(client: AgentTasks) -> None:
    """By what was delivered a replay knows what it need not send again."""
    first, second = endpoint(client), endpoint(client)
    client.submit("echo", {"value": 1})
    ended(client, deliveries(client, first)[0]["id"], "delivered")
    age(client, days=8)
    ended(client, deliveries(client, second)[0]["id"], "failed")
    assert sweep.run_once(client) == 0
    assert len(deliveries(client, first)) == 1
    age(client, days=8)
    assert sweep.run_once(client) == 1
    assert deliveries(client, first) == deliveries(client, second) == []


def test_an_event_of_which_nobody_was_told_goes_too(client: AgentTasks) -> None:
    endpoint(client, types=["task.failed"])
    client.submit("echo", {"value": 1})
    age(client, days=8)
    assert Sweeper(client).run("retention")["deliveries"] == 1
    assert outbox(client) == 0


def test_they_go_in_batches(client: AgentTasks) -> None:
    endpoint(client, types=["task.failed"])
    client.submit_many("echo", [{"value": 1}] * (BATCH + 5))
    age(client, days=8)
    assert [sweep.run_once(client) for _ in range(3)] == [BATCH, 5, 0]


def test_an_event_that_is_being_replayed_stays(client: AgentTasks) -> None:
    billing = endpoint(client)
    client.submit("echo", {"value": 1})
    ended(client, deliveries(client, billing)[0]["id"])
    age(client, days=8)
    with client.database.transaction() as connection:
        connection.execute("SELECT FROM agent_tasks.outbox FOR NO KEY UPDATE")
        assert sweep.run_once(client) == 0
    client.webhooks.replay(deliveries(client, billing)[0]["id"])
    assert sweep.run_once(client) == 0
    assert [row["status"] for row in deliveries(client, billing)] == ["failed", "pending"]
