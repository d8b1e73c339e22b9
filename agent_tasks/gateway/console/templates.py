"""Templates of the console, and what they write times, amounts and payloads with."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import markupsafe  # pyright: ignore[reportPrivateImportUsage]

Markup = markupsafe.Markup
STATIC = Path(__file__).parent / "static"

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_LONGEST_JSON, _BRIEF = 20_000, 160


def render(template: str, values: Mapping[str, Any]) -> str:
    """A whole page."""
    around = {"parts": _parts(values), "now": datetime.now(UTC).isoformat(), "version": _VERSION}
    return _templates.get_template(f"{template}.html").render({**values, **around})


def render_live(template: str, values: Mapping[str, Any]) -> str:
    """The part of a page that changes, in its element."""
    found = _templates.get_template(f"{template}.html")
    context = found.new_context({**values, "parts": _parts(values)})
    live = "".join(found.blocks["live"](context))
    return f'<div id="live">{live}</div>'


def _parts(values: Mapping[str, Any]) -> Any:
    """The macros that pages share, which know the frame of the page."""
    return _templates.get_template("parts.html").make_module(dict(values))


def duration(seconds: float | timedelta | None) -> str:
    """How long something took, in the two largest units: `2 h 5 min`."""
    if seconds is None:
        return "–"
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if seconds < 1:
        return f"{max(0, seconds) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    for unit, name, below, small in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if seconds >= unit:
            whole, rest = divmod(seconds, unit)
            less = int(rest // below)
            return f"{whole:,.0f} {name}" + (f" {less} {small}" if less else "")
    return f"{seconds:.0f} s"


def when(time: datetime | None) -> Markup:
    """A time, which the browser shows as how long ago it was, or how soon it is."""
    if time is None:
        return Markup("–")
    at = time.astimezone(UTC)
    text = f"{at:%b} {at.day}, {at:%H:%M:%S} UTC"
    return Markup(f'<time datetime="{at.isoformat()}" title="{at:%Y-%m-%d %H:%M:%S} UTC" data-age>{text}</time>')


def clock(time: datetime | None) -> Markup:
    """A time as it is, to the millisecond; of another day than today, to the second."""
    if time is None:
        return Markup("–")
    at = time.astimezone(UTC)
    iso = at.isoformat(sep=" ", timespec="milliseconds")
    text = iso[11:23] if at.date() == datetime.now(UTC).date() else f"{at:%b} {at.day}, {iso[11:19]}"
    return Markup(f'<time datetime="{at.isoformat()}" title="{iso[:23]} UTC">{text}</time>')


def usd(amount: float | None) -> str:
    """Dollars, as precisely as they matter."""
    if not amount:
        return "$0" if amount == 0 else "–"
    return f"${amount:,.4f}" if abs(amount) < 1 else f"${amount:,.2f}"


def number(amount: float | None) -> str:
    """A number with its thousands apart."""
    return "–" if amount is None else f"{amount:,.0f}" if amount == int(amount) else f"{amount:,.2f}"


def pretty(value: Any) -> str:
    """JSON as people read it, cut where it is very long."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if len(text) <= _LONGEST_JSON:
        return text
    return f"{text[:_LONGEST_JSON]}\n… {len(text) - _LONGEST_JSON:,} more characters: agent-tasks export has all of it"


def brief(value: Any) -> str:
    """A value of an event in one line, cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}…"


def short_id(id: object) -> str:
    """The end of an id, by which people tell tasks apart: those of one minute begin alike."""
    return f"…{str(id)[-8:]}"


def _version() -> str:
    """What tells the files beside pages from those of another release."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


_VERSION = _version()
_templates = Environment(
    loader=PackageLoader("agent_tasks.gateway.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {each.__name__: each for each in (duration, when, clock, usd, number, pretty, brief, short_id)}
