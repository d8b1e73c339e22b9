"""Messages are lost, repeated, late, forged or broken; each step is committed once all the same."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu.connection import Connection

from agent_tasks import AgentTasks
from agent_tasks.doorbell.bell import PASSES
from agent_tasks.doorbell.envelope import HEADER, Envelope, sign
from tests import rows
from tests.agents import notes
from tests.crash.test_killed_workers import runs_on
from tests.eventually import eventually
from tests.processes import Processes

PRIORITY_5 = "agents\x06\x163"
"""The Redis list of tasks of the usual priority."""


@pytest.fixture
def broker(client: AgentTasks) -> Any:
    with redis.Redis.from_url(client.settings.redis_url) as broker:
        yield broker


def test_two_hundred_tasks_in_flight_survive_flushall_and_run_once(
    client: AgentTasks, processes: Processes, broker: Any
) -> None:
    processes.fleet(workers=2)
    tasks = client.submit_many("hops", [{"to": 6}] * 200)
    for share in (50, 400, 800):
        eventually(
            lambda share=share: rows.query(client, "SELECT count(*) FROM agent_tasks.checkpoints")[0]["count"] > share,
            30,
        )
        broker.flushall()
    for task in tasks:
        assert task.wait(timeout=40).result == 6
    rows.assert_all_ran_once(client, steps=7)


def test_a_flushed_mirror_refills_and_never_regresses(client: AgentTasks, processes: Processes, broker: Any) -> None:
    processes.worker()
    task = client.submit("echo", {"value": 1})
    seen = task.wait(timeout=30)
    broker.flushall()
    assert task.snapshot() == seen
    assert client.get(task.id).snapshot() == seen


def test_a_message_delivered_three_times_at_once_and_late_makes_one_run(
    client: AgentTasks, processes: Processes, broker: Any, tmp_path: Path
) -> None:
    task = client.submit("relay", {"folder": str(tmp_path)})
    (message,) = broker.lrange(PRIORITY_5, 0, -1)
    broker.lpush(PRIORITY_5, message, message)
    workers = [processes.worker(ready=False, quantum_seconds=0) for _ in range(2)]
    processes.wait_until_ready(*workers)
    eventually(lambda: "paid" in notes(tmp_path))
    broker.lpush(PRIORITY_5, message)  # late: its step is long committed
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == "done"
    ended = task.stored()
    broker.lpush(PRIORITY_5, message, message, message)
    eventually(lambda: broker.llen(PRIORITY_5) == 0)
    assert client.submit("echo", {"value": 1}).result(timeout=30) == 1
    assert task.stored() == ended
    assert [len(runs_on(tmp_path, step)) for step in ("first", "held", "last")] == [1, 1, 1]
    assert len(rows.events(client, task.id, "claimed")) == 3


def forgeries(message: bytes, task: Any) -> dict[str, bytes]:
    original = json.loads(message)
    sealed: str = original["headers"][HEADER]
    version, payload, mac = sealed.split(".")
    own = sign(
        Envelope(task_id=task.id, root_id=task.id, agent="echo", step="echo", step_number=0), b"the forger's own key"
    )
    swapped = payload[:-6] + ("A" if payload[-6] != "A" else "B") + payload[-5:]

    def with_header(value: Any) -> bytes:
        return json.dumps({**original, "headers": {**original["headers"], HEADER: value}}).encode()

    return {
        "another key": with_header(own),
        "altered": with_header(f"{version}.{swapped}.{mac}"),
        "no signature": with_header(f"{version}.{payload}."),
        "none": with_header(None),
        "a number": with_header(17),
        "a list": with_header([sealed]),
        "a surrogate": with_header(f"{version}.{payload}.\ud800"),
        "another step": json.dumps({**original, "headers": {**original["headers"], "task": "count.up"}}).encode(),
    }


def test_forged_and_altered_envelopes_are_refused_and_the_task_still_runs(
    client: AgentTasks, processes: Processes, broker: Any
) -> None:
    worker = processes.worker()
    broker_is_told = processes.settings.model_copy(update={"ring_seconds": 60.0})
    quiet = AgentTasks(broker_is_told)
    victim = quiet.submit("echo", {"value": "unharmed"}, queue="elsewhere")  # nobody takes from there yet
    (message,) = broker.lrange("elsewhere\x06\x163", 0, -1)
    forged = forgeries(message, victim)
    for text in forged.values():
        broker.lpush(PRIORITY_5, text)
    eventually(lambda: worker.output.count("envelope refused") == len(forged))
    snapshot = victim.stored()
    assert (snapshot.status, snapshot.attempt, snapshot.version) == ("pending", 0, 1)
    broker.lpush(PRIORITY_5, message)
    assert victim.result(timeout=30) == "unharmed"
    quiet.close()


@pytest.mark.parametrize("garbage", [b"{}", b'{"headers": {}, "properties": {}, "body": ""}'])
def test_a_message_without_content_is_dropped(
    client: AgentTasks, processes: Processes, broker: Any, garbage: bytes
) -> None:
    processes.worker()
    broker.lpush(PRIORITY_5, garbage)
    eventually(lambda: broker.llen(PRIORITY_5) == 0)
    assert client.submit("echo", {"value": 1}).result(timeout=30) == 1


def test_a_message_that_celery_cannot_read_ends_the_process_and_loses_nothing(
    client: AgentTasks, processes: Processes, broker: Any, tmp_path: Path
) -> None:
    (worker,) = processes.fleet()
    running = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: rows.is_paid(client))
    broker.lpush(PRIORITY_5, b"not json")
    assert worker.wait_for_exit() != 0  # and its supervisor starts another
    processes.worker()
    (tmp_path / "go").touch()
    assert running.result(timeout=30) == "done"
    assert notes(tmp_path).count("paid") == 1


WITHOUT_ITS_CODE = ("tests.agents",)


def test_a_bell_that_a_worker_has_no_code_for_is_passed_on_again_and_again_and_by_a_worker_that_stops(
    client: AgentTasks, processes: Processes
) -> None:
    old = processes.worker(agents=WITHOUT_ITS_CODE)
    task = client.submit("hops", {"to": 2})
    eventually(lambda: old.output.count("no code here for the step") >= 3)  # no sweep runs that would ring again
    old.send(signal.SIGTERM)
    assert old.wait_for_exit() == 0
    assert client.redis.llen(PRIORITY_5) == 1
    processes.worker()
    assert task.result(timeout=30) == 2


@pytest.mark.slow
def test_a_worker_that_has_the_code_gets_its_tasks_beside_one_that_has_not(
    client: AgentTasks, processes: Processes
) -> None:
    old = processes.worker(agents=WITHOUT_ITS_CODE)
    new = processes.worker()
    new.send(signal.SIGSTOP)  # so that the old one gets them first
    tasks = client.submit_many("hops", [{"to": 2}] * 6)
    eventually(lambda: "no code here for the step" in old.output)
    new.send(signal.SIGCONT)
    assert [task.result(timeout=30) for task in tasks] == [2] * 6


@pytest.mark.slow
def test_a_bell_that_no_worker_has_code_for_is_left_to_the_sweep_after_some_passes(
    client: AgentTasks, processes: Processes, broker: Any
) -> None:
    old = processes.worker(agents=WITHOUT_ITS_CODE)
    client.submit("hops", {"to": 2})
    eventually(lambda: old.output.count("no code here for the step") == 1 + PASSES)
    assert broker.llen(PRIORITY_5) == 0


def test_a_step_longer_than_the_visibility_timeout_runs_once(
    client: AgentTasks, processes: Processes, broker: Any, tmp_path: Path
) -> None:
    processes.fleet(workers=2)
    plain = client.submit("inattentive", {"folder": str(tmp_path)})
    asynchronous = client.submit("relay", {"folder": str(tmp_path)})
    eventually(lambda: runs_on(tmp_path, "waits") and "paid" in notes(tmp_path))
    impatient = Connection(client.settings.redis_url, transport_options={"visibility_timeout": 0})
    impatient.channel().qos.restore_visible(interval=1)  # what any consumer of this broker does when the time is over
    assert broker.zcard("unacked_index") == broker.llen(PRIORITY_5) == 0
    (tmp_path / "go").touch()
    assert plain.result(timeout=30) == asynchronous.result(timeout=30) == "done"
    assert notes(tmp_path).count("paid") == len(runs_on(tmp_path, "waits")) == 1
    assert rows.query(client, "SELECT max(attempt) FROM agent_tasks.tasks") == [{"max": 1}]
