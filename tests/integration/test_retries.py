"""A failed step waits for its next try as a row, holding nothing."""

from pathlib import Path

import pytest
import redis

from tests import rows
from tests.agents import notes
from tests.conftest import Fleet
from tests.database import fall_due
from tests.eventually import eventually


def test_a_waiting_retry_is_visible_and_holds_neither_a_message_nor_a_slot(fleet: Fleet) -> None:
    task = fleet.client.submit("told", {"seconds": 3000})
    snapshot = eventually(lambda: task.stored().status == "waiting" and task.stored())
    assert snapshot.waiting_for is not None
    assert snapshot.waiting_for.kind == "retry"
    assert snapshot.waiting_for.until is not None
    assert (snapshot.waiting_for.until - snapshot.waiting_for.since).total_seconds() == pytest.approx(3000, abs=0.1)
    assert snapshot.worker is None
    with redis.Redis.from_url(fleet.settings.redis_url) as broker:
        keys = [key for key in broker.scan_iter() if not key.startswith(b"agent-tasks:task:")]  # the mirrors
        waiting = [key for key in keys if str(task.id).encode() in content(broker, key)]
    assert waiting == []
    fall_due(fleet.client, task.id)
    assert task.result(timeout=30) == 2
    assert task.stored().attempt == 2


def content(broker: "redis.Redis", key: bytes) -> bytes:
    reads = {b"list": lambda: broker.lrange(key, 0, -1), b"hash": lambda: broker.hgetall(key)}
    reads[b"zset"] = lambda: broker.zrange(key, 0, -1)
    return repr(reads.get(broker.type(key), list)()).encode()


def test_retry_after_of_an_error_is_honoured(fleet: Fleet) -> None:
    task = fleet.client.submit("told", {"seconds": 1.0})
    assert task.result(timeout=30) == 2
    first, second = rows.query(
        fleet.client, "SELECT at FROM agent_tasks.events WHERE task_id = %s AND type = 'claimed' ORDER BY seq", task.id
    )
    assert (second["at"] - first["at"]).total_seconds() >= 1.0
    (retried,) = rows.events(fleet.client, task.id, "retried")
    assert retried["data"]["delay"] == 1.0


def test_a_step_is_tried_until_it_succeeds(fleet: Fleet) -> None:
    task = fleet.client.submit("retried", {"fail": 3})
    assert task.result(timeout=30) == 4
    assert rows.checkpoints(fleet.client, task.id) == [(0, "attempt")]
    assert len(rows.events(fleet.client, task.id, "retried")) == 3


def test_a_step_that_goes_on_failing_ends_with_its_last_error(fleet: Fleet) -> None:
    task = fleet.client.submit("retried", {"fail": 99})
    snapshot = task.wait(timeout=30)
    assert (snapshot.status, snapshot.attempt) == ("failed", 5)
    assert snapshot.error is not None
    assert (snapshot.error.type, snapshot.error.message) == ("upstream_unavailable", "attempt 5")


def test_a_retry_that_waits_can_be_cancelled(fleet: Fleet) -> None:
    task = fleet.client.submit("told", {"seconds": 60})
    eventually(lambda: task.stored().status == "waiting")
    assert task.cancel().status == "cancelled"
    assert task.stored().waiting_for is None


@pytest.mark.parametrize("kind", ["retry_after_nan", "retry_after_inf", "retry_after_huge", "retry_after_past"])
def test_a_retry_after_that_means_nothing_wedges_no_task(fleet: Fleet, kind: str) -> None:
    task = fleet.client.submit("odd_error", {"kind": kind})
    snapshot = eventually(lambda: task.stored().status in ("waiting", "failed") and task.stored())
    assert not rows.events(fleet.client, task.id, "expired")
    if snapshot.status == "failed":
        assert snapshot.error is not None
        assert snapshot.error.type in ("upstream_unavailable", "invalid_input", "step_failed")
    task.cancel()


def test_recorded_calls_are_not_made_again_by_a_retry(fleet: Fleet, tmp_path: Path) -> None:
    fleet.client.submit("keyed", {"folder": str(tmp_path)}).wait(timeout=30)
    keys = notes(tmp_path)
    assert len(keys) == 2
    assert len(set(keys)) == 1
