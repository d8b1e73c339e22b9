"""Runs the benchmarks, prints their tables, and writes them to benchmarks/results.md."""

import argparse
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import adaptive_split, latency, parked, throughput
from benchmarks.tables import Table

BENCHMARKS: dict[str, Callable[[], list[Table]]] = {
    "throughput": throughput.run,
    "latency": latency.run,
    "parked": parked.run,
    "adaptive_split": adaptive_split.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(BENCHMARKS)} (default: all)")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}")
    sections = []
    for name in names:
        for table in BENCHMARKS[name]():
            print(f"\n{table.text()}", flush=True)
            sections.append(table.markdown())
    if names == list(BENCHMARKS):
        made = f"Made by `make bench` on {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python "
        head = f"# Results\n\n{made}{platform.python_version()}.\n\n"
        (Path(__file__).parent / "results.md").write_text(head + "\n\n".join(sections) + "\n")


if __name__ == "__main__":
    main()
