"""What a worker holds of the results that it joins: a part of them, however many there are."""

import re
from pathlib import Path

import pytest

from tests.conftest import Fleet

CHILDREN, SIZE = 300, 950_000
MOST = 120_000_000
"""Of memory for a join: parts of 16 MiB, as text, as JSON and as objects, and not the 285 MB of all results."""


def peak(pid: int) -> int:
    """The most memory that a process has held, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize("step", ["reap", "reap_plainly"])
def test_a_worker_joins_results_of_which_all_together_would_not_fit(fleet: Fleet, step: str) -> None:
    joins = fleet.processes.worker(queue="joins")
    family = {"size": 10, "parts": 3, "then": step, "queue": "agents"}
    assert fleet.client.submit("harvest", family, queue="joins").result(timeout=30) == 30
    before = peak(joins.pid)
    task = fleet.client.submit("harvest", family | {"size": SIZE, "parts": CHILDREN}, queue="joins")
    assert task.result(timeout=120) == CHILDREN * SIZE
    grown = peak(joins.pid) - before
    joins.kill()
    assert 0 < grown < MOST, f"{grown / 1e6:.0f} MB above the {before / 1e6:.0f} MB of an idle worker"
