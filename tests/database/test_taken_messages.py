"""Messages that a worker took off Redis and did not begin."""

import json
from typing import Any

import pytest

from agent_tasks import AgentTasks
from agent_tasks.doorbell.celery_app import make_app
from agent_tasks.doorbell.lists import OURS
from agent_tasks.doorbell.outcome import ENDED


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


KEPT = ("unacked-agent-tasks", "unacked-agent-tasks-index")


@pytest.mark.parametrize("protocol", [1, 2])
def test_there_is_a_copy_of_a_message_that_tells_of_an_end_until_it_is_acknowledged(
    client: AgentTasks, protocol: int
) -> None:
    app: Any = make_app("workers", client.settings, ["agents"])
    app.conf.task_protocol = protocol
    for number in range(3):
        app.send_task(ENDED, [number], queue="agents")
    client.submit("echo", {"value": 1})
    with app.connection_for_read() as dies, app.connection_for_read() as lives:
        taken = [dies.channel().basic_get("agents") for _ in range(4)]
        assert client.redis.hlen(KEPT[0]) == client.redis.zcard(KEPT[1]) == 3  # and none of the bell
        taken[0].ack()
        assert client.redis.hlen(KEPT[0]) == client.redis.zcard(KEPT[1]) == 2
        other = lives.channel()
        other.qos.restore_visible(num=10)
        assert other.basic_get("agents") is None  # it is too early, and who took them may be at work
        other.qos.visibility_timeout = 0
        other.qos.restore_visible(num=10)
        again = [other.basic_get("agents") for _ in range(2)]
        assert sorted(message.delivery_tag for message in again) == sorted(
            message.delivery_tag for message in taken[1:3]
        )
        other.qos.restore_unacked_once()
        assert client.redis.exists(*KEPT) == 0
        assert client.redis.llen("agents") == 2


def test_a_message_that_came_twice_is_acknowledged_once_and_not_put_back(client: AgentTasks) -> None:
    app: Any = make_app("workers", client.settings, ["agents"])
    app.send_task(ENDED, [1], queue="agents")
    with app.connection_for_read() as connection:
        channel = connection.channel()
        first = channel.basic_get("agents")
        channel.qos.visibility_timeout = 0
        channel.qos.restore_visible(num=10)
        again = channel.basic_get("agents")
        assert again.delivery_tag == first.delivery_tag
        first.ack()
        channel.qos._flush()
        again.reject(requeue=True)
        assert client.redis.exists(*KEPT, "agents") == 0


def test_a_message_is_taken_all_the_same_where_redis_takes_no_copy(
    client: AgentTasks, caplog: pytest.LogCaptureFixture
) -> None:
    app: Any = make_app("workers", client.settings, ["agents"])
    app.send_task(ENDED, queue="agents")
    client.redis.set(KEPT[1], "of another type")
    with app.connection_for_read() as connection:
        message = connection.channel().basic_get("agents")
        message.ack()
    assert "taken without a copy in Redis" in caplog.text


def _ids(client: AgentTasks, queue: str) -> list[str]:
    """The tasks of the messages in a list of Redis; the last is taken next."""
    found: Any = client.redis.lrange(queue, 0, -1)
    return [json.loads(message)["headers"]["id"].partition(":")[0] for message in found]
