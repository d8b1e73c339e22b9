"""What a step costs more when its state is a megabyte."""

import base64
import random
import time
from statistics import median

from benchmarks.deployment import Deployment, deployment
from benchmarks.tables import Table, at_most, spread

STEPS, ROUNDS, BYTES, SEED = 20, 10, 1_000_000, 7


def run(quick: bool) -> list[Table]:
    load = base64.b64encode(random.Random(SEED).randbytes(BYTES * 3 // 4)).decode()
    added = []
    with deployment() as made, made.worker():
        _seconds(made, load)
        for _ in range(2 if quick else ROUNDS):
            small, big = _seconds(made, ""), _seconds(made, load)
            added.append((big - small) / STEPS * 1000)
    table = Table(
        f"A state of {BYTES / 1e6:g} MB",
        note=f"A task of {STEPS} steps with that state, against one with none, in turn; text that does not compress.",
    )
    table.check("added cost of a step", at_most(25, "ms"), median(added), f"{spread(added, '{:.1f}')} ms")
    return [table]


def _seconds(made: Deployment, load: str) -> float:
    start = time.perf_counter()
    made.client.submit("carry", {"steps": STEPS, "load": load}).wait(timeout=120)
    return time.perf_counter() - start
