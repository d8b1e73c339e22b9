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
EFFECTS = {"request 0", "look Rome", "look Oslo", "request 2", "look Bonn", "request 3"}


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["pydantic-ai-watcher", "openai-watcher"])
def test_what_a_killed_worker_was_in_is_made_again_and_nothing_before_it(
    agent: str, client: AgentTasks, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_EFFECTS", str(tmp_path))
    monkeypatch.setenv("ACME_KILLED", "at each effect, the first time")
    processes.sweeper()
    processes.beat()
    task = client.submit(agent)
    killed = processes.worker(agents=MODULES, lease_seconds=1.0, ready=False)
    assert killed.wait_for_exit() == -signal.SIGKILL
    assert notes(tmp_path) == ["request 0"]
    # From the second time on the step has a process of its own in the worker, which is killed in its place.
    processes.worker(agents=MODULES, lease_seconds=1.0, poison_crashes=10)
    assert task.result(timeout=90)["requests"] == 3
    made = Counter(notes(tmp_path))
    assert made.keys() == EFFECTS
    together = made.pop("look Rome")
    assert 2 <= together <= 3, "it may have been under way when the one beside it was killed"
    assert set(made.values()) == {2}
    (row,) = rows.query(client, "SELECT spent_usd, held_usd FROM agent_tasks.tasks WHERE id = %s", task.id)
    assert (row["spent_usd"], row["held_usd"]) == (Decimal("0.03"), 0), "who was killed in a request had not paid yet"
