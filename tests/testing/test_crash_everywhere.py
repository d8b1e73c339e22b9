"""crash_everywhere: it finds each planted bug, and nothing in healthy agents."""

from pathlib import Path

import pytest

from agent_tasks.authoring.agent import find_agent
from agent_tasks.authoring.loading import load_agents
from agent_tasks.bundled.research.publishing import save
from agent_tasks.testing import DurabilityBugs, Kit
from tests.testing.agents_planted import PLANTED, healthy, look_up

pytestmark = pytest.mark.slow
QUESTION = "How does the system recover when a worker dies?"


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_bug_is_found(agent_tasks: Kit, planted: str) -> None:
    agent_tasks.calls.allow()
    (name,) = find_agent(planted).first_step.function.__annotations__.keys() - {"ctx", "return"}
    with pytest.raises(DurabilityBugs):
        agent_tasks.crash_everywhere(planted, {name: "tides and moons rise over seas of sand"}, signals={"go": None})


def test_a_healthy_agent_is_cut_everywhere_and_nothing_is_found(agent_tasks: Kit) -> None:
    agent_tasks.calls.allow()
    report = agent_tasks.crash_everywhere(healthy, {"topic": "tides"}, signals={"approval": {"ok": True}})
    assert {"claimed", "begun", "it", "recorded", "committed", "told"} <= {b.split()[-1] for b in report.boundaries}
    assert report.result["texts"] == ["about about tides 0", "about about tides 1"]


def test_an_effect_of_a_stubbed_call_is_found_where_the_test_names_it(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(look_up, returns="a stub")
    assert agent_tasks.crash_everywhere("planted-none-child", {"topic": "tides"}).result == "a stub"
    with pytest.raises(DurabilityBugs, match="look_up of planted-none-child"):
        agent_tasks.crash_everywhere("planted-none-child", {"topic": "tides"}, effects=[look_up])


def test_the_bundled_orchestrator_is_healthy(agent_tasks: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_BUNDLED_ROOT", str(tmp_path))
    load_agents((), ("research", "orchestrator"))
    (tmp_path / "docs").mkdir()
    for n in range(2):
        (tmp_path / "docs" / f"{n}.txt").write_text(f"Worker {n} died, and its task was recovered by worker {n + 1}.")
    asked = {"paths": [str(tmp_path / "docs")], "question": QUESTION, "output": str(tmp_path / "report.md")}
    agent_tasks.calls.allow()
    report = agent_tasks.crash_everywhere("orchestrator", asked, harmless=[save])  # it writes the same file again
    assert (tmp_path / "report.md").read_text() == report.result["report"]
    assert len(report.boundaries) > 30
