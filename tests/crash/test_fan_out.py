"""SIGKILL at every point of fan-out and join: the tree completes, and each of its steps is committed once."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, TaskHandle
from tests import rows
from tests.conftest import Fleet, fresh_deployment
from tests.crash.test_killed_workers import runs_on
from tests.processes import Processes

POINTS = [
    # where the worker is killed          # what the database says then: of the parent, and of its children
    ("spawn:claimed", "running", 0),  # the parent's step is claimed and has not begun
    ("spawn:returned", "running", 0),  # it has returned its FanOut, nothing is written
    ("spawn:halfway", "running", 0),  # the parent is written, its children are not, nothing is committed
    ("spawn:written", "running", 0),  # all is written, nothing is committed
    ("spawn:committed", "waiting", 5),  # committed; no bell of a child has rung
    ("spawn:half-published", "waiting", 5),  # some bells have rung
    ("spawn:published", "waiting", 5),  # all have
    ("member:claimed", "waiting", 5),  # a child's step is claimed and has not begun
    ("member:returned", "waiting", 5),  # it has returned, nothing is written
    ("member:halfway", "waiting", 5),  # its end is written, the parent is not told, nothing is committed
    ("member:written", "waiting", 5),  # the parent is told, nothing is committed
    ("member:committed", "waiting", 5),  # a child has ended and is counted; nothing is published
    ("member:published", "waiting", 5),
    ("last:written", "waiting", 5),  # the last child's end and the join are written, nothing is committed
    ("last:committed", "pending", 5),  # the join is committed; the parent's bell has not rung
    ("last:half-published", "pending", 5),
    ("last:published", "pending", 5),
    ("gather:claimed", "running", 5),  # `then` is claimed and has not begun
    ("gather:returned", "running", 5),  # it has returned, nothing is committed
    ("gather:committed", "completed", 5),  # the parent has ended, nobody is told
    ("gather:published", "completed", 5),
]
OVERTAKEN = {
    # other slots of the doomed worker go on until it dies: they may answer the parent's bell that has rung,
    "last:half-published": ("pending", "running"),
    "last:published": ("pending", "running"),
    # or end the other children
    "member:committed": ("waiting", "pending", "running"),
    "member:published": ("waiting", "pending", "running"),
}
# The others are beside these in the code, and are run with the slow tests.
USUAL = {"spawn:halfway", "spawn:half-published", "member:written", "last:committed", "gather:returned"}
MEMBERS = 5


@pytest.fixture(scope="module")
def sweeping(server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A sweeper and a beat, and no worker."""
    with fresh_deployment(server_urls, template) as settings:
        settings = settings.model_copy(update={"lease_seconds": 1.0, "ring_seconds": 0.3})
        with Processes(settings, tmp_path_factory.mktemp("fleet")) as processes:
            sweeper, beat = processes.sweeper(ready=False), processes.beat(ready=False)
            processes.wait_until_ready(sweeper, beat)
            client = AgentTasks(settings)
            yield Fleet(settings, client, processes, sweeper)
            client.close()


def assert_tree_ran_once(client: AgentTasks, root: UUID) -> None:
    """All have completed, each step is committed once and told once, and every amount adds up."""
    times = "(SELECT count(*) FROM agent_tasks.events WHERE task_id = id AND type = '{}') AS {}"
    kinds = ("spawned", "joined", "committed", "finished")
    tree = rows.query(
        client,
        f"""
        SELECT tasks.*, {", ".join(times.format(kind, kind) for kind in kinds)},
            (SELECT array_agg(c.step ORDER BY c.step_number) FROM agent_tasks.checkpoints AS c
                WHERE task_id = id) AS steps,
            (SELECT max(seq) - count(*) FROM agent_tasks.events WHERE task_id = id) AS gap
        FROM agent_tasks.tasks WHERE root_id = %s ORDER BY depth, child_index
        """,
        root,
    )
    parent, *children = tree
    for task in tree:
        steps = ["spawn", "gather"] if task is parent else [task["agent"]]
        assert (task["status"], task["steps"], task["gap"]) == ("completed", steps, 0), task
        assert [task[kind] for kind in kinds] == [task is parent, task is parent, len(steps), 1]
        assert task["spent_tokens"] <= (task["budget_tokens"] or task["spent_tokens"])
    assert [child["child_index"] for child in children] == list(range(len(children)))
    assert parent["children_left"] == 0
    assert [parent[f"reserved_{name}"] for name in ("tokens", "usd", "steps", "calls")] == [0] * 4
    own = sum(event["data"]["tokens"] for event in rows.events(client, root, "charged"))
    assert parent["spent_tokens"] == own + sum(child["spent_tokens"] for child in children)
    for name, of_parent in (("usd", 0), ("steps", 2), ("calls", 0)):
        assert parent[f"spent_{name}"] == of_parent + sum(child[f"spent_{name}"] for child in children)


def submit(fleet: Fleet, folder: Path, **input: Any) -> TaskHandle:
    budget = Budget(seconds=120, tokens=1000, usd=1.0, steps=100, calls=100)
    return fleet.client.submit("family", {"folder": str(folder), "members": MEMBERS, **input}, budget=budget)


@pytest.mark.parametrize(
    ("point", "parent", "children"),
    [pytest.param(*at, id=at[0], marks=[] if at[0] in USUAL else pytest.mark.slow) for at in POINTS],
)
def test_a_tree_completes_although_its_worker_was_killed_there(
    sweeping: Fleet, tmp_path: Path, point: str, parent: str, children: int
) -> None:
    doomed = sweeping.processes.worker(kill_at=point, quantum_seconds=0, ready=False)
    task = submit(sweeping, tmp_path)
    assert doomed.wait_for_exit(40) == -signal.SIGKILL, doomed.story
    found = OVERTAKEN.get(point, (parent, "pending") if parent == "running" else (parent,))
    assert rows.task(sweeping.client, task.id)["status"] in found
    assert len(task.children()) == children
    survivor = sweeping.processes.worker(ready=False)
    try:
        assert task.wait(timeout=30).result == list(range(MEMBERS))
        assert_tree_ran_once(sweeping.client, task.id)
        begun = len(runs_on(tmp_path, "gather"))
        assert begun in (1, 2) if point in OVERTAKEN else begun == (2 if point == "gather:returned" else 1)
    finally:
        survivor.kill()
