"""Runs the benchmarks, prints their tables, and writes them to benchmarks/results.md."""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    adaptive_split,
    family,
    growth,
    held,
    latency,
    parked,
    scale,
    state_size,
    throughput,
    watching,
)
from benchmarks.deployment import deployment
from benchmarks.machine import describe
from benchmarks.tables import Table

FOLDER = Path(__file__).parent
BENCHMARKS: dict[str, Callable[[bool], list[Table]]] = {
    "throughput": throughput.run,
    "latency": latency.run,
    "watching": watching.run,
    "family": family.run,
    "state_size": state_size.run,
    "held": held.run,
    "growth": growth.run,
    "parked": parked.run,
    "adaptive_split": adaptive_split.run,
    "scale": scale.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(BENCHMARKS)} (default: all, and write them)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; nothing is written")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}")
    tables: list[Table] = []
    for name in arguments.names or BENCHMARKS:
        start = time.perf_counter()
        for table in BENCHMARKS[name](arguments.quick):
            print(f"\n{table.text()}", flush=True)
            tables.append(table)
        print(f"  ({name}: {time.perf_counter() - start:.0f} s)", flush=True)
    if not arguments.names and not arguments.quick:
        _write(tables)


def _write(tables: list[Table]) -> None:
    with deployment() as made:
        machine = describe(made)
    head = ["# Results", "", f"Made by `make bench` on {datetime.now(UTC):%Y-%m-%d}.", "", *machine, ""]
    body = "\n\n".join(table.markdown() for table in tables)
    (FOLDER / "results.md").write_text("\n".join([*head, body, ""]))
    for plot in (table.plot for table in tables if table.plot):
        (FOLDER / plot.file).write_text(plot.svg)


if __name__ == "__main__":
    main()
