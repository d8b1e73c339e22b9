"""Frameworks' agents whose processes are killed by SIGKILL within each request and tool call, one after the other."""

import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

pytest.importorskip("agents")
pytest.importorskip("langgraph")
pytest.importorskip("pydantic_ai")

from agent_tasks import AgentTasks, Budget
from tests import agents_langgraph, agents_openai, agents_pydantic_ai
from tests.agents import notes
from tests.database import lapse, row_of, submitted
from tests.database.driving import driving

EFFECTS = {"request 0", "look Rome", "look Oslo", "request 2", "look Bonn", "request 3"}
WATCHING = {
    "langgraph": agents_langgraph.watch,
    "openai-agents": agents_openai.watch,
    "pydantic-ai": agents_pydantic_ai.watch,
}


def live(client: AgentTasks, task_id: UUID, step: Callable[..., Any]) -> int:
    """Run a step up to its commit in a process of its own; returns how that ended."""
    pid = os.fork()
    if pid == 0:
        try:
            with driving(AgentTasks(client.settings)) as driver:
                driver.settle(driver.run(task_id, step))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("framework", WATCHING)
def test_what_a_killed_process_was_in_is_made_again_and_nothing_before_it(
    framework: str, client: AgentTasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_EFFECTS", str(tmp_path))
    monkeypatch.setenv("ACME_KILLED", "at each effect, the first time")
    task_id = submitted(client, budget=Budget(usd=1.0))
    for killed in range(len(EFFECTS) + 1):
        if (ended := live(client, task_id, WATCHING[framework])) == 0:
            break
        assert ended == -signal.SIGKILL
        assert len(set(notes(tmp_path))) == killed + 1
        lapse(client, task_id)
    row = row_of(client, task_id)
    assert row["status"] == "completed", row["error"]
    assert row["result"]["requests"] == 3
    made = Counter(notes(tmp_path))
    assert made.keys() == EFFECTS
    together = made.pop("look Rome")
    assert 2 <= together <= 3, "it may have been under way when the one beside it was killed"
    assert set(made.values()) == {2}
    assert (row["spent_usd"], row["held_usd"]) == (Decimal("0.03"), 0), "who was killed in a request had not paid yet"
