"""`agent-tasks check` over 100,000 living tasks, beside many that have ended."""

import json
import os
import subprocess
import sys
import time

from benchmarks import filling
from benchmarks.deployment import ROOT, Deployment, deployment
from benchmarks.tables import Table, at_most

LIVING, ENDED = 100_000, 500_000


def run(quick: bool) -> list[Table]:
    table = Table(
        f"agent-tasks check, {LIVING:,} living tasks",
        note=f"The whole command, in a process of its own, beside {0 if quick else ENDED:,} tasks that have ended. "
        "Plain: a state of text and numbers, which Postgres puts together. Models: each has another state, of a "
        "pydantic model, and each is read and bound.",
    )
    for name, park in (("plain states", filling.park_plain), ("models", filling.park_models)):
        with deployment() as made:
            park(made, LIVING)
            if not quick:
                filling.finish(made, ENDED)
            table.check(f"{name}: all fit", at_most(20, "s"), seconds := _checked(made, 0), f"{seconds:.1f} s")
            filling.misfit(made)
            table.check(f"{name}: a few do not", at_most(20, "s"), seconds := _checked(made, 1), f"{seconds:.1f} s")
    return [table]


def _checked(made: Deployment, misfits: int) -> float:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AGENT_TASKS_AGENTS": ",".join(made.settings.agents),
    }
    command = [sys.executable, "-m", "agent_tasks.cli", "check", "--json", "--against", made.settings.database_url]
    start = time.perf_counter()
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert (ran.returncode, len(found)) == (min(misfits, 1), misfits), ran.stdout + ran.stderr
    return seconds
