"""A real RabbitMQ as the doorbell, with Redis for the status: nothing hangs on what it loses."""

from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from agent_tasks import AgentTasks, Identity, Settings
from agent_tasks.doorbell.celery_app import make_app
from agent_tasks.sweeps import bells
from tests import rows
from tests.agents import notes
from tests.database import query
from tests.eventually import eventually
from tests.processes import Processes
from tests.servers.rabbit import Rabbit
from tests.servers.test_redis_urls import doctor


@pytest.fixture
def settings(settings: Settings, rabbit: Rabbit, request: pytest.FixtureRequest) -> Settings:
    """Each test has a queue of its own: the server is one for all."""
    return settings.model_copy(update={"broker_url": rabbit.url, "queue": f"q{abs(hash(request.node.name))}"})


def waiting(client: AgentTasks) -> int | None:
    return client.bells.waiting([client.settings.queue])[client.settings.queue]


def test_tasks_run_and_doctor_says_by_which_way(client: AgentTasks, processes: Processes) -> None:
    assert client.bells.path == "producer"
    (worker,) = processes.fleet()
    assert "prefetch" not in worker.output
    assert [task.result(timeout=30) for task in client.submit_many("hops", [{"to": 2}] * 5)] == [2] * 5
    assert client.redis.keys(f"{client.settings.queue}*") == []
    said = doctor(processes, client.settings.redis_url)
    assert "by the app's producer, since the broker's transport is kombu.transport.pyamqp" in said


def test_a_worker_killed_in_a_step_loses_nothing(client: AgentTasks, processes: Processes, tmp_path: Path) -> None:
    (worker,) = processes.fleet()
    task = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: rows.is_paid(client), 20)
    worker.kill()
    processes.worker()
    (tmp_path / "go").touch()
    assert task.result(timeout=40) == "done"
    assert notes(tmp_path).count("paid") == 1


def test_a_rabbitmq_that_was_killed_is_used_again_and_what_it_lost_is_rung_by_the_sweep(
    client: AgentTasks, processes: Processes, rabbit: Rabbit
) -> None:
    lost = client.submit("echo", {"value": 1})
    eventually(lambda: waiting(client) == 1)
    processes.sweeper()
    processes.beat()
    rabbit.kill()
    started = monotonic()
    meanwhile = client.submit("echo", {"value": 2})
    assert monotonic() - started < 10
    assert client.bells.problem() is not None
    rabbit.start()
    processes.worker()
    assert [task.result(timeout=60) for task in (lost, meanwhile)] == [1, 2]
    assert all(process.is_alive for process in processes.all)
    assert client.submit("echo", {"value": 3}).result(timeout=30) == 3


def test_a_caller_with_more_rights_than_a_frame_holds_rings_and_hinders_no_other(
    client: AgentTasks, processes: Processes
) -> None:
    processes.worker()
    ana = Identity(subject="ana", scopes=tuple(f"right-{number:07}" for number in range(14_000)))
    tasks = client.submit_many("echo", [{"value": 1}] * 2, identity=ana)
    other = client.submit("echo", {"value": 2})
    assert [task.result(timeout=30) for task in (*tasks, other)] == [1, 1, 2]


def test_a_queue_that_rabbitmq_refuses_hinders_no_other_and_nothing_is_sent_twice(
    client: AgentTasks, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = [client.submit("echo", {"value": 1}, queue=queue) for queue in (None, "amq.x", None)]
    eventually(lambda: waiting(client) == 2)
    assert "the broker refuses bells for the queue amq.x: AccessRefused: Queue.declare: (403)" in caplog.text
    rows = [client.find_row(task.id) for task in tasks]
    assert client.publisher.publish(rows)
    eventually(lambda: waiting(client) == 4)
    assert not client.publisher._unsent._rows
    bells_of: Any = client.bells
    assert not bells_of._sender.breaker.is_open
    asked = client.bells.waiting(["amq.x", client.settings.queue])
    assert asked == {"amq.x": 0, client.settings.queue: 4}
    query(client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() - interval '1 ms'")
    bells.run_once(client)
    eventually(lambda: waiting(client) == 4)


def test_a_user_who_may_make_no_queue_rings_in_those_that_are_there(
    client: AgentTasks, settings: Settings, rabbit: Rabbit, caplog: pytest.LogCaptureFixture
) -> None:
    rabbit.control("add_user", "ana", "geheim")
    rabbit.control("set_permissions", "ana", "", ".*", ".*")
    client.submit("echo", {"value": 1})
    eventually(lambda: waiting(client) == 1)
    url = rabbit.url.replace("guest:guest", "ana:geheim")
    limited = AgentTasks(settings.model_copy(update={"broker_url": url}))
    limited.submit("echo", {"value": 2}, queue="elsewhere")
    limited.submit("echo", {"value": 3})
    eventually(lambda: waiting(client) == 2)
    assert "the broker refuses bells for the queue elsewhere: AccessRefused: Exchange.declare: (403)" in caplog.text
    assert client.bells.waiting(["elsewhere"]) == {"elsewhere": 0}
    limited.close()


def test_bells_wait_by_priority_and_are_counted(client: AgentTasks) -> None:
    assert waiting(client) == 0
    for priority in (0, 9, 5):
        client.submit("echo", {"value": priority}, priority=priority)
    eventually(lambda: waiting(client) == 3)
    app: Any = make_app("workers", client.settings, [client.settings.queue])
    with app.connection_for_read() as connection:
        bound = app.amqp.queues[client.settings.queue](connection.default_channel)
        assert [bound.get(no_ack=True).properties["priority"] for _ in range(3)] == [9, 5, 0]
    assert waiting(client) == 0
