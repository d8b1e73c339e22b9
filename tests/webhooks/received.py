"""What a receiver got, the lanes as they stand, and endpoints that were disabled."""

import json
from typing import Any

from agent_tasks import AgentTasks
from tests.database import query
from tests.webhooks.receiver import Received, Receiver


def data_of(received: Received) -> dict[str, Any]:
    return json.loads(received.body)


def ids(received: list[Received]) -> list[str]:
    return [each.headers["webhook-id"] for each in received]


def sequence(received: list[Received]) -> list[int]:
    return [data_of(each)["data"]["sequence"] for each in received]


def lanes(client: AgentTasks) -> list[Any]:
    return query(client, "SELECT * FROM agent_tasks.lanes ORDER BY name")


def disabled(client: AgentTasks, receiver: Receiver) -> None:
    query(client, "UPDATE agent_tasks.webhooks SET disabled_at = clock_timestamp(), disabled_why = 'asked'")
