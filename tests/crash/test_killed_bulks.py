"""A program dies in the midst of a bulk operation: a sweep goes on with it, and each task is changed once."""

import signal

import pytest

from agent_tasks import AgentTasks
from agent_tasks.client.bulk_run import BATCH
from tests import rows
from tests.eventually import eventually
from tests.processes import Processes

TASKS = 2 * BATCH + 100
BULK = """
from agent_tasks import AgentTasks, TaskFilter
from tests.crash import kill_points

AgentTasks().bulk("cancel", TaskFilter(agent="count"), reason="wrong")
"""
CANCELLED = "SELECT count(*) FROM agent_tasks.tasks WHERE status = 'cancelled'"
ENDS = "SELECT count(*), count(DISTINCT task_id) AS tasks FROM agent_tasks.events WHERE type = 'finished'"


@pytest.mark.parametrize(
    ("kill_at", "done"),
    [("commit:written#2", BATCH), ("commit:committed#2", 2 * BATCH)],
)
def test_what_a_killed_program_has_begun_is_done_once_by_a_sweep(
    client: AgentTasks, processes: Processes, kill_at: str, done: int
) -> None:
    tasks = client.submit_many("count", [{"to": 0}] * TASKS)
    doomed = processes.python(BULK, kill_at=kill_at)
    assert doomed.wait_for_exit() == -signal.SIGKILL, doomed.output
    (bulk,) = client.bulks()
    assert (bulk.status, bulk.done) == ("running", done)
    assert rows.query(client, CANCELLED) == [{"count": done}]
    processes.clocked_sweeper()
    ended = eventually(lambda: client.get_bulk(bulk.id or "") if client.bulks()[0].status == "done" else None)
    assert (ended.matched, ended.done, ended.failed) == (TASKS, TASKS, 0)
    assert rows.query(client, ENDS) == [{"count": TASKS, "tasks": TASKS}]
    assert {task.snapshot().status for task in tasks[:: BATCH // 2]} == {"cancelled"}
    (entry,) = client.audit(operation="bulk")
    assert (entry.data["status"], entry.data["done"]) == ("done", TASKS)
