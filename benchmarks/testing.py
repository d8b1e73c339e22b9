"""What a test of a user's costs with the fixture `agent_tasks`: the first one, further ones, and virtual time."""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.deployment import ROOT
from benchmarks.tables import Table, at_most

TESTS = """
import time
from pathlib import Path

import pytest

from agent_tasks import Done, Sleep, agent
from benchmarks.agents import loop

@agent("reminding")
async def remind(ctx, left: int):
    return Sleep(3600 * 3.6, then="remind", left=left - 1) if left else Done("over")

@pytest.mark.parametrize("n", range({further} + 1))
def test_one(agent_tasks, n):
    assert agent_tasks.submit(loop, {{"steps": 3}}).result() == 1

@pytest.mark.parametrize("n", range(3))
def test_timers(agent_tasks, n):
    task = agent_tasks.submit("reminding", {{"left": 200}})
    start = time.perf_counter()
    agent_tasks.clock.advance(days=31)
    seconds = time.perf_counter() - start
    assert task.result() == "over"
    with Path("timers").open("a") as file:
        file.write(f"{{seconds}}\\n")
"""


def run(quick: bool) -> list[Table]:
    further = 20 if quick else 100
    table = Table(
        "Tests with the fixture agent_tasks",
        note=f"pytest in a process of its own, {1 if quick else 3} times; of each test setup, call and teardown. A "
        "test runs a task of three steps. The first one starts a Postgres and makes its database.",
    )
    firsts: list[float] = []
    others: list[float] = []
    timers: list[float] = []
    for _ in range(1 if quick else 3):
        first, more, virtual = _measured(further)
        firsts.append(first)
        others += more
        timers += virtual
    table.check_times("the first test", firsts, p50=at_most(3000, "ms"))
    table.check_times("each further test", others, p50=at_most(50, "ms"))
    name = "30 virtual days with 200 timers"
    table.check(name, at_most(1, "s"), median := statistics.median(timers), f"{median:.2f} s")
    return [table]


def _measured(further: int) -> tuple[float, list[float], list[float]]:
    with tempfile.TemporaryDirectory(prefix="at-") as name:
        folder = Path(name)
        (folder / "test_kit.py").write_text(TESTS.format(further=further))
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--junitxml=report.xml", "-o", "junit_duration_report=total"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        cases = ElementTree.parse(folder / "report.xml").iter("testcase")
        first, *more = [float(case.attrib["time"]) for case in cases if case.attrib["name"].startswith("test_one")]
        return first, more, [float(line) for line in (folder / "timers").read_text().split()]
