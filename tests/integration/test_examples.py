"""The examples run as their README says, and print what they should."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.conftest import fresh_deployment
from tests.documents import ROOT
from tests.processes import Processes

PRINTED = {
    "approval": ["All about tides. Approved by ana: fine"],
    "chain": ["[write from [outline tides]]", "0.0004 usd spent"],
    "fallbacks": ["small answer to why?", "answer to why?, at attempt 3"],
    "fan_out": [
        "['tides: yes', 'moon: yes']",
        "['tides: yes']",
        "partial ['tides: yes'] 1 of 2 questions have no answer",
    ],
    "straight_line": ["[[write about tides], but shorter]"],
    "loop": ["all about tides, after 3 looks"],
    "plain": ["{'LOG LINE 0': 10, 'LOG LINE 1': 10, 'LOG LINE 2': 10}"],
    "programs": [
        "0 6 * * * True",
        "['hello a, says a program', 'hello b, says a program']",
        "hello async, says ana",
        "hello row, says a program",
    ],
    "undo": ["['hotel in Lisbon', 'flight in Lisbon']", "failed", "['hotel in Atlantis given up']"],
    "pydantic_ai_approval": ["pay {'cents': 900}", "Done: paid 900 cents"],
    "langgraph_approval": ["pay {'cents': 900}", "Done: paid 900 cents"],
    "openai_agents_approval": ["pay {'cents': 900}", "Done: paid 900 cents"],
    "parallel_tools": ["Lisbon? sunny in Lisbon; Lisbon has 545,000 people."],
}

NEEDS = {"pydantic_ai_approval": "pydantic_ai", "openai_agents_approval": "agents", "langgraph_approval": "langgraph"}
"""The frameworks that examples are written in; `make test-oldest` has none."""
RUN = sorted(name for name in PRINTED if name not in NEEDS or find_spec(NEEDS[name]) is not None)


@pytest.fixture(scope="module")
def processes(
    server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Processes]:
    with (
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, tmp_path_factory.mktemp("examples")) as processes,
    ):
        processes.fleet(agents=tuple(f"examples.{name}" for name in RUN))
        yield processes


def test_every_example_is_run_and_spoken_of() -> None:
    there = {path.stem for path in (ROOT / "examples").glob("*.py")}
    text = (ROOT / "examples" / "README.md").read_text()
    assert there == set(PRINTED)
    assert all(f"[{name}.py]({name}.py)" in text and f"examples.{name}" in text for name in there)


@pytest.mark.parametrize("name", RUN)
def test_an_example_runs(processes: Processes, name: str) -> None:
    ended = subprocess.run(
        [sys.executable, f"examples/{name}.py"],
        cwd=ROOT,
        env=processes.environment(agents=()),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout.splitlines() == PRINTED[name], ended.stderr
    assert ended.stderr == ""
