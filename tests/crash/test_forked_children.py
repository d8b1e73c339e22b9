"""A process that a step or a program forks: it commits nothing of its parent's, and finds everything anew."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_tasks import AgentTasks
from tests import rows
from tests.agents import notes
from tests.processes import Processes

AGENTS = ("tests.agents_processes",)
STATUS = {"exits": 0, "exits with 3": 3, "raises": 1, "returns": 0, "charges": 1}
pools = pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.slow)])


@pools
@pytest.mark.parametrize("agent", ["forks", "forks_in_call", "forks_async", "forks_in_call_async"])
def test_a_forked_child_commits_nothing_of_its_step(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str, agent: str
) -> None:
    worker = processes.worker(pool=pool, concurrency=2, agents=AGENTS)
    for how, status in STATUS.items():
        if how == "charges" and "async" in agent:
            continue
        if how == "returns" and agent == "forks_in_call":
            status = 1  # the child cannot record the outcome of the call
        task = client.submit(agent, {"folder": str(tmp_path), "how": how})
        assert task.result(timeout=30) == status, how
        assert len(rows.checkpoints(client, task.id)) == 1
        assert notes(tmp_path).count(f"child {how}") == 1
        assert rows.task(client, task.id)["spent_tokens"] == 0
    assert "only the step itself can use its context" in worker.output or "async" in agent
    assert worker.is_alive


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_that_a_step_starts_ends_when_it_is_told_to(
    client: AgentTasks, processes: Processes, method: str
) -> None:
    processes.worker(agents=AGENTS)
    assert client.submit("starts_processes", {"method": method}).result(timeout=40) == [False, [1, 2]]


def test_steps_that_fork_all_the_time_keep_their_connections(client: AgentTasks, processes: Processes) -> None:
    processes.worker(agents=AGENTS)
    tasks = client.submit_many("hops_after_fork", [{"to": 9}] * 8)
    assert [task.result(timeout=30) for task in tasks] == [9] * 8
    rows.assert_all_ran_once(client, steps=10)


PROGRAM = """
import os, sys, time, psycopg
from agent_tasks import AgentTasks
from agent_tasks.doorbell.lists import OURS
import tests.agents
from tests.eventually import eventually

client = AgentTasks()
redis = client.redis.__class__.from_url(client.settings.redis_url)

def bells():
    return sum(redis.llen(key) for key in OURS.of("agents"))

def submit_in_a_transaction():
    before = bells()
    with psycopg.connect(client.settings.database_url) as mine:
        task = client.submit("echo", {"value": 1}, connection=mine)
    eventually(lambda: bells() == before + 1)
    return task

def listeners(task):
    return redis.pubsub_numsub(f"agent-tasks:task:{task.id}")[0][1]

with client.notices.listening("any", lambda text: None):  # what a program has used before it forks
    submit_in_a_transaction()
    task = client.submit("echo", {"value": 2})
    pid = os.fork()
    if pid == 0:
        submit_in_a_transaction()
        client.get(task.id).cancel()
        assert task.wait(timeout=30).status == "cancelled"
        other = client.submit("echo", {"value": 3})
        try:
            other.wait(timeout=3)
        except TimeoutError:
            pass
        os._exit(0)
    eventually(lambda: b"".join(redis.pubsub_channels("agent-tasks:task:*")), 10)  # the child listens
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    submit_in_a_transaction()
    assert task.wait(timeout=30).status == "cancelled"
print("all well")
"""


def test_a_forked_program_rings_for_its_transactions_and_hears_of_changes(client: AgentTasks) -> None:
    settings = client.settings
    urls = {"AGENT_TASKS_DATABASE_URL": settings.database_url, "AGENT_TASKS_REDIS_URL": settings.redis_url}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **urls}, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "all well\n", ended.stderr
