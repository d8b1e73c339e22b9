"""An alert as it stands, and the sentence that says so."""

from datetime import datetime
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.alert_rule import AlertKind, WaitsFor, unit_of
from agent_tasks.store.queries.alert_values import Measured
from agent_tasks.store.queries.alerts import AlertRow


class Alert(BaseModel):
    """An alert, and how it stands; times are the database's."""

    model_config = ConfigDict(frozen=True)

    name: str
    tenant: str = ""
    """Each tenant has names of its own."""
    everywhere: bool = False
    """Whether it watches the tasks of all tenants; else those of its own."""
    kind: AlertKind
    """What is measured; the fields up to `least` are those of `AlertRule`."""
    threshold: float
    window: float | None = None
    agent: str | None = None
    queue: str | None = None
    waits_for: WaitsFor | None = None
    least: int | None = None
    unknown_agent: bool = False
    """Whether no worker has ever registered the `agent`: is the name right?"""
    created_at: datetime
    state: Literal["ok", "firing"]
    since: datetime
    """When it came to this state; the time it was made where that has not changed."""
    value: float | None = None
    """What was measured last; None where there was nothing to measure."""
    found: dict[str, Any] | None = None
    """What it was measured of: the task that has waited longest, say."""
    checked_at: datetime | None = None
    """When it was measured last; None: not yet."""

    @classmethod
    def from_row(cls, row: AlertRow) -> "Alert":
        return cls.model_validate({**row, "window": row["window_seconds"]})

    @property
    def sentence(self) -> str:
        """What was measured last, and what the threshold is."""
        rule = cast(AlertRow, {**self.model_dump(), "window_seconds": self.window})
        return sentence(rule, {"value": self.value, "found": self.found})


def sentence(rule: AlertRow, measured: Measured) -> str:
    """Say what was measured and what the threshold is, for a person."""
    value, limit, found = measured["value"], rule["threshold"], measured["found"] or {}
    unit, of = unit_of(rule["kind"]), f" of {rule['agent']}" if rule["agent"] else ""
    within = f" within {rule['window_seconds']:,.0f} s" if rule["window_seconds"] else ""
    if unit == "seconds":
        if value is None:
            return f"{rule['name']}: no task{of} {_DOES[rule['kind']][1]}."
        who = f"task {found['task_id']} of {found['agent']} on the queue {found['queue']}"
        return f"{rule['name']}: {who} {_DOES[rule['kind']][0]} {value:,.0f} s; the threshold is {limit:,.0f} s."
    if rule["kind"] == "failures":
        if value is None:
            few = f"only {found.get('ended', 0)} of at least {rule['least']}"
            return f"{rule['name']}: {few} tasks{of} ended{within}, too few to tell."
        part = f"{found['failed']} of {found['ended']} tasks{of} failed{within}"
        return f"{rule['name']}: {part} ({value:.1%}); the threshold is {limit:.1%}."
    if rule["kind"] == "spend":
        return f"{rule['name']}: tasks{of} spent {value or 0:,.2f} USD{within}; the threshold is {limit:,.2f} USD."
    what = f"tasks{of} given up as orphans" if rule["kind"] == "orphans" else "webhooks not delivered"
    return f"{rule['name']}: {what}{within}: {value or 0:,.0f}; the threshold is {limit:,.0f}."


_DOES = {
    "waiting": ("has waited for", "waits"),
    "pending": ("has been pending for", "is pending"),
    "unserved": ("has had no worker for", "is without a worker"),
}
