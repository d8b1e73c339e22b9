"""Plots as SVG: bars side by side, and lines over a logarithmic axis."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, BAR, LABELS, MARGIN = 780, 26, 345, 40
COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1")


@dataclass(frozen=True)
class Plot:
    """A picture beside the results: `file` is its name there."""

    file: str
    title: str
    svg: str


def bars(file: str, title: str, values: Mapping[str, tuple[float, float, float]], ours: str) -> Plot:
    """A bar per name as long as the middle value, with a whisker from the least to the most.

    Names that begin with `ours` have a colour of their own.
    """
    room = WIDTH - LABELS - 90
    most = max(high for _, _, high in values.values())
    marks: list[str] = []
    for index, (name, (low, middle, high)) in enumerate(values.items()):
        y = MARGIN + index * BAR
        colour = COLOURS[0] if name.startswith(ours) else "#a0aec0"
        ends = [LABELS + room * value / most for value in (low, middle, high)]
        marks += [
            _text(LABELS - 8, y + 15, name, "end"),
            f'<rect x="{LABELS}" y="{y + 3}" width="{ends[1] - LABELS:.1f}" height="{BAR - 9}" fill="{colour}"/>',
            f'<line x1="{ends[0]:.1f}" x2="{ends[2]:.1f}" y1="{y + 11}" y2="{y + 11}" stroke="#1a202c"/>',
            _text(ends[2] + 8, y + 15, f"{middle:,.0f}"),
        ]
    return Plot(file, title, _svg(title, MARGIN + len(values) * BAR + 12, marks))


def lines(
    file: str, title: str, across: Sequence[float], series: Mapping[str, Sequence[float]], axis: str, upto: float
) -> Plot:
    """A line per name from 0 to `upto`; `across` is drawn logarithmically, with 0 as its first tick."""
    left, right, top, bottom = 60, WIDTH - 30, MARGIN + 30, 300
    logs = [math.log10(max(value, 1)) for value in across]
    first = min(value for value in logs if value > 0) - 1
    places = [left + (right - left) * (max(x, first) - first) / (logs[-1] - first) for x in logs]
    marks = [_text((left + right) / 2, bottom + 40, axis, "middle")]
    for x, value in zip(places, across, strict=True):
        marks += [_text(x, bottom + 18, f"{value:,.0f}", "middle"), _rule(x, x, bottom, bottom + 5)]
    for part in range(5):
        y = bottom - (bottom - top) * part / 4
        marks += [_text(left - 8, y + 4, f"{upto * part / 4:.2f}", "end"), _rule(left, right, y, y)]
    for index, (name, values) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        heights = [bottom - (bottom - top) * min(value, upto) / upto for value in values]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(places, heights, strict=True))
        marks += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<rect x="{left + 230 * index}" y="{MARGIN}" width="12" height="12" fill="{colour}"/>',
            _text(left + 230 * index + 18, MARGIN + 11, name),
        ]
    return Plot(file, title, _svg(title, bottom + 52, marks))


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _rule(x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" stroke="#cbd5e0"/>'


def _svg(title: str, height: int, marks: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    style = ' font-family="sans-serif" font-size="12" fill="#1a202c">'
    title_line = f'<text x="12" y="22" font-size="15" font-weight="bold">{escape(title)}</text>'
    ground = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head + style, f"<title>{escape(title)}</title>", ground, title_line, *marks, "</svg>", ""])
