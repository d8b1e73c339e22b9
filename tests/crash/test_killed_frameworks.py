"""Frameworks' agents whose workers are killed by SIGKILL within each request and tool call, one after the other."""

import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("agents")
pytest.importorskip("pydantic_ai")

from agent_tasks import AgentTasks
from tests import agents_openai, agents_pydantic_ai, rows
from tests.agents import notes
from tests.processes import Processes

MODULES = (agents_openai.__name__, agents_pydantic_ai.__name__)
KILLED_AT = ["request 0", "look Oslo", "request 2", "look Bonn", "request 3"]


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["pydantic-ai-watcher", "openai-watcher"])
def test_what_a_killed_worker_was_in_is_made_again_and_nothing_before_it(
    agent: str, client: AgentTasks, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_EFFECTS", str(tmp_path))
    processes.sweeper()
    processes.beat()
    task = client.submit(agent)
    for effect in KILLED_AT:
        monkeypatch.setenv("ACME_KILL_AT", effect)
        doomed = processes.worker(agents=MODULES, lease_seconds=1.0, ready=False, fresh=True, poison_crashes=10)
        assert doomed.wait_for_exit() == -signal.SIGKILL
    monkeypatch.delenv("ACME_KILL_AT")
    processes.worker(agents=MODULES, lease_seconds=1.0, fresh=True)
    assert task.result(timeout=60)["requests"] == 3
    made = Counter(notes(tmp_path))
    assert {effect: made[effect] for effect in KILLED_AT} == dict.fromkeys(KILLED_AT, 2)
    assert made["look Rome"] <= 2, "it ran beside the one at which the worker was killed"
    (row,) = rows.query(client, "SELECT spent_usd, held_usd FROM agent_tasks.tasks WHERE id = %s", task.id)
    assert (row["spent_usd"], row["held_usd"]) == (Decimal("0.03"), 0), "who was killed in a request had not paid yet"
