"""A table of results, for the terminal and for Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.plots import Plot

MEASURED = ("what", "target", "measured", "met")
"""The columns of a table whose rows are made by `check`."""


@dataclass(frozen=True)
class Target:
    """What was promised of a figure: not more, or not less, than `limit`."""

    limit: float
    unit: str
    at_most: bool = True

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:,g} {self.unit}"

    def met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


def at_most(limit: float, unit: str) -> Target:
    return Target(limit, unit)


def at_least(limit: float, unit: str) -> Target:
    return Target(limit, unit, at_most=False)


@dataclass
class Table:
    title: str
    columns: Sequence[str] = MEASURED
    rows: list[Sequence[str]] = field(default_factory=list[Sequence[str]])
    note: str = ""
    plot: Plot | None = None

    def check(self, what: str, target: Target | None, value: float, shown: str) -> None:
        """A row that says whether `value`, which is shown as `shown`, meets the target; None: none is named."""
        met = "" if target is None else "yes" if target.met(value) else "no"
        self.rows.append([what, "" if target is None else str(target), shown, met])

    def check_times(
        self, what: str, seconds: Sequence[float], p50: Target | None = None, p99: Target | None = None
    ) -> None:
        """Two rows, in milliseconds: the median, and how bad it gets."""
        for part, target in ((0.5, p50), (0.99, p99)):
            value = percentile(seconds, part) * 1000
            self.check(f"{what}, p{part * 100:.0f}", target, value, f"{value:.2f} ms")

    def markdown(self, heading: str = "##") -> str:
        lines = [f"{heading} {self.title}", "", self._line(self.columns), self._line(["---"] * len(self.columns))]
        lines += [self._line(row) for row in self.rows]
        lines += ["", self.note] if self.note else []
        lines += ["", f"![{self.plot.title}]({self.plot.file})"] if self.plot else []
        return "\n".join(lines)

    def text(self) -> str:
        widths = [max(len(row[i]) for row in [self.columns, *self.rows]) for i in range(len(self.columns))]
        lines = [self.title]
        for row in [self.columns, *self.rows]:
            lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return "\n".join(lines + ([f"  {self.note}"] if self.note else []))

    @staticmethod
    def _line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"


def with_tables(results: str, tables: Sequence[Table], day: str) -> str:
    """Return results in Markdown with these tables in place of those of the same title; new ones come last."""
    head, *parts = results.rstrip("\n").split("\n\n## ")
    sections = {part.partition("\n")[0]: f"## {part}" for part in parts}
    sections |= {table.title: f"{table.markdown()}\n\nMeasured on {day}." for table in tables}
    return "\n\n".join([head, *sections.values()]) + "\n"


def spread(values: Sequence[float], form: str = "{:,.0f}") -> str:
    """The median, and the smallest and largest value."""
    low, middle, high = (form.format(value) for value in (min(values), median(values), max(values)))
    return f"{middle} ({low} to {high})"


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
