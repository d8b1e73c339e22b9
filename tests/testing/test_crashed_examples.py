"""crash_everywhere on the examples: who starts from one of them starts from an agent to which a crash does no harm."""

import importlib
from typing import Any

import pytest

from agent_tasks.testing import Kit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "example-publisher": ("approval", {"topic": "tides"}),
    "example-writer": ("chain", {"topic": "tides"}),
    "example-fallback": ("fallbacks", {"prompt": "why?"}),
    "example-retry": ("fallbacks", {"prompt": "why?"}),
    "example-survey": ("fan_out", {"questions": ["tides", "moon"]}),
    "example-survey-at-once": ("fan_out", {"questions": ["tides", "moon"]}),
    "example-watcher": ("loop", {"report": "tides"}),
    "example-assistant": ("parallel_tools", {"question": "Lisbon?"}),
    "example-counter": ("plain", {"file": "log"}),
    "example-editor": ("straight_line", {"topic": "tides"}),
    "example-traveller": ("undo", {"city": "Lisbon"}),
}
SIGNALS = {"approval": {"ok": True, "remark": "fine"}, "review": "fine"}


@pytest.mark.parametrize("agent", EXAMPLES)
def test_an_example_is_healthy(agent_tasks: Kit, agent: str) -> None:
    module, given = EXAMPLES[agent]
    importlib.import_module(f"examples.{module}")
    agent_tasks.calls.allow()
    report = agent_tasks.crash_everywhere(agent, given, signals=SIGNALS)
    assert len(report.boundaries) > 3
    assert report.result is not None
