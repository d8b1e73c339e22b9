"""Runs the benchmarks, prints their tables, and writes them to benchmarks/results.md, all or those that were named."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    adaptive_split,
    agentcore,
    brokers,
    bulk,
    checking,
    console,
    family,
    gateway,
    gateway_events,
    growth,
    held,
    latency,
    parked,
    pausing,
    scale,
    search_cost,
    searching,
    state_size,
    straight,
    testing,
    throughput,
    tracing,
    trees,
    watching,
    webhooks,
)
from benchmarks.deployment import deployment
from benchmarks.machine import describe
from benchmarks.running import Benchmark, run_each
from benchmarks.tables import Table, with_tables

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.md"
BENCHMARKS: dict[str, Benchmark] = {
    "throughput": throughput.run,
    "brokers": brokers.run,
    "latency": latency.run,
    "watching": watching.run,
    "console": console.run,
    "gateway": gateway.run,
    "gateway_events": gateway_events.run,
    "webhooks": webhooks.run,
    "agentcore": agentcore.run,
    "family": family.run,
    "state_size": state_size.run,
    "held": held.run,
    "growth": growth.run,
    "trees": trees.run,
    "parked": parked.run,
    "straight": straight.run,
    "adaptive_split": adaptive_split.run,
    "check": checking.run,
    "testing": testing.run,
    "searching": searching.run,
    "search_cost": search_cost.run,
    "bulk": bulk.run,
    "pausing": pausing.run,
    "tracing": tracing.run,
    "scale": scale.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; nothing is written")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}")
    tables, gave_up = run_each({name: BENCHMARKS[name] for name in arguments.names or BENCHMARKS}, arguments.quick)
    if gave_up:
        print(f"\nGave up: {', '.join(gave_up)}; nothing is written.", flush=True)
        return 1
    if not arguments.quick:
        _write(tables, keeps_others=bool(arguments.names))
    return 0


def _write(tables: list[Table], *, keeps_others: bool) -> None:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    if keeps_others:
        text = with_tables(RESULTS.read_text(), tables, day)
    else:
        with deployment() as made:
            head = ["# Results", "", f"Made by `make bench` on {day}.", "", *describe(made), ""]
        text = "\n".join([*head, "\n\n".join(table.markdown() for table in tables), ""])
    RESULTS.write_text(text)
    for plot in (table.plot for table in tables if table.plot):
        (FOLDER / plot.file).write_text(plot.svg)


if __name__ == "__main__":
    sys.exit(main())
