"""Alerts reach a receiver: told once when they fire and once when they are over, whoever dies on the way."""

import json
import os
import signal
import subprocess
import sys

import pytest
from standardwebhooks import Webhook

from agent_tasks import AgentTasks, AlertRule
from agent_tasks.sweeps import alerts
from tests.database import claimed, query, submitted
from tests.eventually import eventually
from tests.webhooks.delivering import SECRET, delivering, endpoint
from tests.webhooks.receiver import Receiver

SWEEPER = """
import os, signal, sys
from agent_tasks import AgentTasks, Settings
from agent_tasks.sweeps import alerts
from agent_tasks.transitions import alert

when = sys.argv[1]
measured, check = alerts.measured, alert.check

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def checked(*values):
    done = check(*values)
    kill()
    return done

if when == "claimed":
    alerts.measured = kill
elif when == "measured":
    alert.check = kill
else:
    alert.check = checked
alerts.run_once(AgentTasks(Settings(database_url=sys.argv[2], redis_url=sys.argv[3])))
"""
"""A sweeper that is killed once it has claimed an alert, has measured it, or has written what it measured."""


def due(client: AgentTasks) -> None:
    query(client, "UPDATE agent_tasks.alerts SET due_at = clock_timestamp()")


def stands_still(client: AgentTasks) -> AlertRule:
    task = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET pending_since = now() - interval '2 h' WHERE id = %s", task)
    return AlertRule("pending", 3600)


def test_an_alert_is_received_with_its_signature_when_it_fires_and_when_it_is_over(
    client: AgentTasks, receiver: Receiver
) -> None:
    endpoint(client, f"{receiver.url}/pager", types=["alert.firing", "alert.resolved"])
    client.put_alert("stuck", stands_still(client))
    task = query(client, "SELECT id FROM agent_tasks.tasks")[0]["id"]
    with delivering(client):
        alerts.run_once(client)
        (firing,) = eventually(lambda: receiver.at("/pager"))
        claimed(client, task)
        due(client)
        alerts.run_once(client)
        _, resolved = eventually(lambda: len(found := receiver.at("/pager")) == 2 and found)
    first, last = (Webhook(SECRET).verify(each.body, each.headers) for each in (firing, resolved))
    assert (first["type"], last["type"]) == ("alert.firing", "alert.resolved")
    data = first["data"]
    assert (data["alert"], data["kind"], data["state"], data["threshold"]) == ("stuck", "pending", "firing", 3600)
    assert data["found"] == {"task_id": str(task), "agent": "echo", "queue": "agents"}
    assert data["message"].startswith(f"stuck: task {task} of echo on the queue agents has been pending for 7,2")
    assert (last["data"]["state"], last["data"]["value"]) == ("ok", None)
    assert firing.headers["webhook-id"] != resolved.headers["webhook-id"]
    assert all(each.headers["webhook-id"].startswith("evt_") for each in (firing, resolved))


@pytest.mark.parametrize("when", ["claimed", "measured", "written"])
def test_a_sweeper_that_is_killed_leaves_one_event_and_no_more(
    client: AgentTasks, receiver: Receiver, when: str
) -> None:
    endpoint(client, f"{receiver.url}/pager")
    client.put_alert("stuck", stands_still(client))
    query(client, "DELETE FROM agent_tasks.deliveries")
    arguments = [when, client.settings.database_url, client.settings.redis_url]
    killed = subprocess.run([sys.executable, "-c", SWEEPER, *arguments], env={**os.environ}, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert client.alert("stuck").state == ("firing" if when == "written" else "ok")
    alerts.run_once(client)
    assert client.alert("stuck").state == ("firing" if when == "written" else "ok"), "it is claimed for a while"
    due(client)
    alerts.run_once(client)
    due(client)
    alerts.run_once(client)
    assert client.alert("stuck").state == "firing"
    with delivering(client):
        eventually(lambda: receiver.at("/pager"))
    assert [json.loads(each.body)["type"] for each in receiver.at("/pager")] == ["alert.firing"]
    assert len(query(client, "SELECT FROM agent_tasks.outbox WHERE type = 'alert.firing'")) == 1
