"""Running benchmarks one after the other; one that gives up does not end the others."""

import time
from collections.abc import Callable, Mapping

from benchmarks.tables import Table

Benchmark = Callable[[bool], list[Table]]


def run_each(benchmarks: Mapping[str, Benchmark], quick: bool) -> tuple[list[Table], list[str]]:
    """Print the tables of each as they come; returns them, and which gave up because a wait took too long."""
    tables: list[Table] = []
    gave_up: list[str] = []
    for name, benchmark in benchmarks.items():
        start = time.perf_counter()
        try:
            made = benchmark(quick)
        except TimeoutError as error:
            print(f"\n{name} gave up: {error}. The machine is too slow or too busy for it.", flush=True)
            gave_up.append(name)
            continue
        for table in made:
            print(f"\n{table.text()}", flush=True)
        tables += made
        print(f"  ({name}: {time.perf_counter() - start:.0f} s)", flush=True)
    return tables, gave_up
