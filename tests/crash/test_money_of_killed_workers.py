"""Workers that are killed anywhere while trees spend: each charge is in the root's books once, and none is lost."""

import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent_tasks import AgentTasks, Budget, TaskHandle
from tests import agents_money, rows
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes

TREES, KILLS, DEEPEST = 6, 4, 2
ENDS = [*["completes"] * 4, "fails", "partial", "holds"]
MODULES = (agents_money.__name__,)
GOES_ON = """
    SELECT FROM agent_tasks.tasks WHERE finished_at IS NULL AND waiting_for ->> 'kind' IS DISTINCT FROM 'children'
        AND NOT (status = 'running' AND step = 'end' AND ending IS NULL)
"""
"""Whoever has not ended, and neither holds nor waits for somebody who does."""
AMOUNTS = "(data ->> 'usd')::numeric AS usd, (data ->> 'tokens')::int AS tokens"


def plan(chance: Random, depth: int = 0) -> dict[str, Any]:
    return {
        "children": [plan(chance, depth + 1) for _ in range(chance.randint(1, 2) if depth < DEEPEST else 0)],
        "policy": chance.choice(["collect", "fail"]),
        "reserve": chance.choice([None, 1.0]),
        "end": chance.choice(ENDS),
    }


def budget(chance: Random) -> Budget | None:
    """Of plenty, of little money, of little time, and none."""
    tight = Budget(seconds=3600, tokens=50, usd=4.0, steps=6, calls=9)
    hasty = Budget(seconds=3, tokens=100_000, usd=500.0)
    return chance.choice([Budget(seconds=3600, tokens=100_000, usd=500.0, steps=500, calls=500), tight, hasty, None])


def living(client: AgentTasks) -> list[dict[str, Any]]:
    return rows.query(client, "SELECT id FROM agent_tasks.tasks WHERE finished_at IS NULL ORDER BY id")


def check(client: AgentTasks, root: TaskHandle, noted: Counter[str]) -> None:
    """The root's books are the sum of all charges; each of dollars counts once however often its step was repeated,
    each of tokens as often as its call was made, and none that was `noted` to a step (by task and amount) is missing.
    """
    tree = rows.query(client, "SELECT * FROM agent_tasks.tasks WHERE root_id = %s", root.id)
    ids = [task["id"] for task in tree]
    charged = rows.query(
        client, f"SELECT task_id, {AMOUNTS} FROM agent_tasks.events WHERE type = 'charged' AND task_id = ANY (%s)", ids
    )
    (made,) = rows.query(
        client,
        """
        SELECT (SELECT count(*) FROM agent_tasks.checkpoints WHERE task_id = ANY (%s)) AS steps,
            (SELECT coalesce(sum(attempts), 0) FROM agent_tasks.calls WHERE task_id = ANY (%s)) AS calls
        """,
        ids,
        ids,
    )
    (books,) = [task for task in tree if task["id"] == root.id]
    assert books["spent_usd"] == sum((each["usd"] for each in charged), Decimal(0))
    assert books["spent_tokens"] == sum(each["tokens"] for each in charged)
    assert (books["spent_steps"], books["spent_calls"]) == (made["steps"], made["calls"])
    counted = Counter(f"{e['task_id']} {float(e['usd']) if e['usd'] else 'tokens'}" for e in charged)
    assert [charge for charge, times in counted.items() if times > 1 and not charge.endswith("tokens")] == []
    for charge, times in noted.items():
        if any(charge.startswith(str(task_id)) for task_id in ids):
            assert counted[charge] >= (times if charge.endswith("tokens") else 1), charge
    for task in tree:
        assert [task[f"reserved_{name}"] for name in ("tokens", "usd", "steps", "calls")] == [0] * 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_roots_books_are_what_was_charged_wherever_its_workers_were_killed(
    client: AgentTasks, processes: Processes, tmp_path: Path, seed: int
) -> None:
    chance = Random(seed)
    terms: dict[str, Any] = {"agents": MODULES, "lease_seconds": 1.0, "ring_seconds": 0.3}
    processes.wait_until_ready(processes.sweeper(ready=False, **terms), processes.beat(ready=False, **terms))
    trees = [
        client.submit("purse", {"plan": plan(chance), "folder": str(tmp_path)}, budget=budget(chance))
        for _ in range(TREES)
    ]
    killed = 0
    for _ in range(KILLS):
        doomed = processes.worker(ready=False, kill_at=f"statement:{chance.randint(1, 200)}", **terms)
        eventually(lambda doomed=doomed: not doomed.is_alive or not living(client), 60)
        killed += not doomed.is_alive and doomed.wait_for_exit() == -signal.SIGKILL
        doomed.kill()
        if (there := living(client)) and chance.random() < 0.4:
            client.get(chance.choice(there)["id"]).cancel()
    assert killed >= KILLS // 2
    processes.worker(ready=False, **terms)
    eventually(lambda: not rows.query(client, GOES_ON), 60)
    for tree in trees:
        tree.cancel()
    eventually(lambda: not living(client), 60)
    noted = Counter(notes(tmp_path))
    for tree in trees:
        check(client, tree, noted)
