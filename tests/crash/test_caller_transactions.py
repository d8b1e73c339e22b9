"""A submit in the caller's own transaction, whose process dies after its COMMIT: the sweep rings."""

import signal
from pathlib import Path

from agent_tasks import AgentTasks
from tests import rows
from tests.eventually import eventually
from tests.processes import Processes

PROGRAM = """
import os, signal, psycopg
from agent_tasks import AgentTasks, submit
from agent_tasks.doorbell.publisher import Publisher

Publisher.publish = lambda self, rows, stop=(): rows and os.kill(os.getpid(), signal.SIGKILL)  # no bell is ever rung
with psycopg.connect(os.environ["AGENT_TASKS_DATABASE_URL"]) as connection:
    connection.execute("CREATE TABLE orders (task uuid)")
    task = submit("hops", {{"to": 3}}, connection=connection)
    connection.execute("INSERT INTO orders VALUES (%s)", [task.id])
    connection.{end}()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_task_whose_submitter_died_after_its_commit_runs(client: AgentTasks, processes: Processes) -> None:
    program = processes.python(PROGRAM.format(end="commit"))
    processes.fleet()
    assert program.wait_for_exit() == -signal.SIGKILL
    (order,) = rows.query(client, "SELECT task FROM orders")
    assert client.get(order["task"]).result(timeout=30) == 3


def test_a_task_whose_submitter_rolled_back_never_was(client: AgentTasks, processes: Processes) -> None:
    program = processes.python(PROGRAM.format(end="rollback"))
    assert program.wait_for_exit() == -signal.SIGKILL
    assert not rows.query(client, "SELECT FROM agent_tasks.tasks")


def test_a_submitter_killed_within_its_transaction_leaves_nothing(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    program = processes.python(PROGRAM.format(end="cursor"))  # neither committed nor rolled back
    assert program.wait_for_exit() == -signal.SIGKILL
    eventually(lambda: not rows.query(client, "SELECT FROM agent_tasks.tasks"))
    assert not rows.query(client, "SELECT FROM agent_tasks.events")
