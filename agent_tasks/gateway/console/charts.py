"""Charts of the last day, by half hours: what was submitted and ended, what was under way, and what was spent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent_tasks.store.queries.overview import COUNTED, EndRow, SpentRow, SubmitRow

_BIN = timedelta(minutes=30)
_BINS = 48
_EPOCH = datetime(2000, 1, 1)


@dataclass(frozen=True)
class Chart:
    """Numbers over time, as the page's script draws them."""

    heading: str
    label: str
    """What it says, for who does not see it."""
    data: str
    """JSON: `times` in seconds since 1970, and `series`, each with `label`, `colour`, `kind` and `values`."""
    note: str = ""


def charts(
    now: datetime, living: int | None, submits: Sequence[SubmitRow], ends: Sequence[EndRow], spent: Sequence[SpentRow]
) -> list[Chart]:
    """Return the charts of the day until `now`. `living`: how many tasks have not ended; None: too many to count."""
    last = now - (now - _EPOCH.replace(tzinfo=now.tzinfo)) % _BIN
    times = [last - _BIN * back for back in range(_BINS - 1, -1, -1)]
    submitted = {row["at"]: row["tasks"] for row in submits}
    completed: dict[datetime, int] = {}
    failed: dict[datetime, int] = {}
    for row in ends:
        part = completed if row["status"] == "completed" else failed
        part[row["at"]] = part.get(row["at"], 0) + row["tasks"]
    is_cut = _is_cut(submits, ends)
    note = f"Of each state the newest {COUNTED:,} are counted." if is_cut else ""
    found = [
        _chart(
            "Submitted and ended in the last day",
            f"{sum(submitted.values()):,} tasks were submitted and {sum(row['tasks'] for row in ends):,} ended in the "
            "last day, by half hours",
            times,
            [
                _series("completed", "good", "bar", [completed.get(at, 0) for at in times]),
                _series("not completed", "bad", "bar", [failed.get(at, 0) for at in times]),
                _series("submitted", "strong", "line", [submitted.get(at, 0) for at in times]),
            ],
            note,
        )
    ]
    if living is not None and not is_cut:
        under_way = _under_way(times, living, submitted, [completed, failed])
        label = f"{living:,} tasks are under way: how many were so in the last day, by half hours"
        found.append(_chart("Under way", label, times, [_series("not ended", "strong", "line", under_way)]))
    if spent:
        usd = {row["at"]: row["usd"] for row in spent}
        is_cut = sum(row["charges"] for row in spent) >= COUNTED
        found.append(
            _chart(
                "Spent in the last day",
                f"{sum(usd.values()):,.2f} US dollars were spent in the last day, by half hours",
                times,
                [_series("US dollars", "warn", "bar", [round(usd.get(at, 0.0), 6) for at in times])],
                f"The newest {COUNTED:,} charges are summed up." if is_cut else "",
            )
        )
    return found


def _is_cut(submits: Sequence[SubmitRow], ends: Sequence[EndRow]) -> bool:
    """Whether there were more than are counted."""
    by_status: dict[str, int] = {"submitted": sum(row["tasks"] for row in submits)}
    for row in ends:
        by_status[row["status"]] = by_status.get(row["status"], 0) + row["tasks"]
    return max(by_status.values()) >= COUNTED


def _under_way(
    times: Sequence[datetime], living: int, submitted: Mapping[datetime, int], ended: Sequence[Mapping[datetime, int]]
) -> list[int]:
    """How many had not ended at the end of each half hour, from what there are now backwards."""
    found: list[int] = []
    for at in reversed(times):
        found.append(max(0, living))
        living += sum(part.get(at, 0) for part in ended) - submitted.get(at, 0)
    return list(reversed(found))


def _series(label: str, colour: str, kind: str, values: Sequence[float]) -> dict[str, object]:
    return {"label": label, "colour": colour, "kind": kind, "values": list(values)}


def _chart(
    heading: str, label: str, times: Sequence[datetime], series: Sequence[dict[str, object]], note: str = ""
) -> Chart:
    data = json.dumps({"times": [at.timestamp() for at in times], "series": list(series)}, separators=(",", ":"))
    return Chart(heading, label, data, note)
