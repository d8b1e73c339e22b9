"""Children end at once, and their messages come twice: `then` runs exactly once."""

from pathlib import Path

import pytest
import redis

from agent_tasks import Budget
from tests import rows
from tests.agents_children import CROWD
from tests.conftest import Fleet
from tests.crash.test_fan_out import assert_tree_ran_once
from tests.crash.test_killed_workers import runs_on
from tests.eventually import eventually

BELLS = f"{CROWD}\x06\x163"
"""The Redis list of the crowd's bells."""


@pytest.mark.parametrize(
    ("member", "members"), [("member", 200), pytest.param("member_plain", 1000, marks=pytest.mark.slow)]
)
def test_however_many_children_end_at_once_and_are_rung_for_twice_then_runs_once(
    fleet: Fleet, tmp_path: Path, member: str, members: int
) -> None:
    input = {"folder": str(tmp_path), "members": members, "member": member, "queue": CROWD}
    task = fleet.client.submit("family", input, budget=Budget(seconds=600, tokens=10_000, steps=5000, calls=5000))
    with redis.Redis.from_url(fleet.settings.redis_url) as broker:
        eventually(lambda: broker.llen(BELLS) >= members)
        bells: list[bytes] = broker.lrange(BELLS, 0, -1)  # type: ignore[assignment]
        broker.lpush(BELLS, *bells)
    crowd = [fleet.processes.worker(queue=CROWD, concurrency=8, ready=False) for _ in range(2)]
    try:
        assert task.wait(timeout=100).result == list(range(members))
        eventually(lambda: not redis.Redis.from_url(fleet.settings.redis_url).llen(BELLS), 60)
    finally:
        for worker in crowd:
            worker.kill()
    assert len(runs_on(tmp_path, "gather")) == 1
    assert_tree_ran_once(fleet.client, task.id)
    claimed = rows.query(
        fleet.client,
        """
        SELECT count(DISTINCT id) AS tasks,
            count(*) FILTER (WHERE type = 'claimed') - count(*) FILTER (WHERE type = 'expired') AS claims
        FROM agent_tasks.tasks JOIN agent_tasks.events ON task_id = id WHERE root_id = %s AND parent_id IS NOT NULL
        """,
        task.id,
    )
    assert claimed == [{"tasks": members, "claims": members}]
