"""Messages that a worker took off Redis and did not begin."""

import json
from typing import Any

from agent_tasks import AgentTasks
from agent_tasks.doorbell.celery_app import make_app
from agent_tasks.doorbell.lists import OURS


def test_messages_that_were_taken_and_not_begun_go_back_to_where_they_were(client: AgentTasks) -> None:
    tasks = client.submit_many("echo", [{"value": number} for number in range(5)])
    queue = OURS.of("agents")[OURS.steps.index(OURS.level(5))]
    before = _ids(client, queue)
    assert before == [str(task.id) for task in reversed(tasks)]
    app: Any = make_app("workers", client.settings, ["agents"])
    with app.connection_for_read() as connection:
        channel = connection.channel()
        taken = [channel.basic_get("agents") for _ in range(4)]
        assert _ids(client, queue) == before[:1]
        assert client.redis.exists("unacked", "unacked_index") == 0
        taken[0].ack()
        taken[1].reject(requeue=True)
        assert _ids(client, queue) == [str(tasks[1].id), str(tasks[4].id)]
        channel.qos.restore_unacked_once()
    assert _ids(client, queue) == [str(tasks[position].id) for position in (1, 4, 3, 2)]


def _ids(client: AgentTasks, queue: str) -> list[str]:
    """The tasks of the messages in a list of Redis; the last is taken next."""
    found: Any = client.redis.lrange(queue, 0, -1)
    return [json.loads(message)["headers"]["id"].partition(":")[0] for message in found]
