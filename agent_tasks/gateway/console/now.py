"""*Now*: what needs somebody, what runs, waits and is pending, what has failed, what was spent, and who works."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent_tasks.client.client import AgentTasks
from agent_tasks.client.spending import Spent
from agent_tasks.gateway.console.charts import charts
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.gateway.console.workers import workers
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import console, overview, read
from agent_tasks.task.identity import Identity
from agent_tasks.task.unserved import Unserved

_KINDS = ("signal", "timer", "children", "retry", "task")
_STATES = ("running", "pending", "waiting")
_MOST_SPENDERS, _MOST_PAUSES, _MOST_STUCK = 8, 20, 10


@dataclass(frozen=True)
class Stuck:
    """Pending tasks of a step that no living worker takes."""

    row: overview.PendingStepRow
    why: Unserved


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    identity = look.caller.viewer
    client = look.client
    with client.database.connection() as connection:
        counts = overview.counts(connection, identity)
        failures = overview.failures(connection, identity)
        failed = overview.failures_by_status(connection, identity)
        ends = overview.ends(connection, identity)
        now = console.now(connection)["now"]
        submits = overview.submits(connection, identity, now)
        spent = overview.spent(connection, identity)
        stuck = _stuck(connection, identity, client.settings.lease_seconds)
    sees_all = look.visitor.sees_all
    living = {status: sum(row["tasks"] for row in counts if row["status"] == status) for status in _STATES}
    is_counted = max(living.values()) < overview.COUNTED
    alerts = client.alerts(identity=identity)
    return {
        "counted": overview.COUNTED,
        "living": living,
        "alerts": [alert for alert in alerts if alert.state == "firing"],
        "quiet_alerts": sum(alert.state != "firing" for alert in alerts),
        "stuck": stuck,
        "queues": _queues(counts),
        "kinds": _kinds(counts),
        "failures": failures,
        "failed": failed,
        "spent_today": sum(each.usd for each in _spend(client, identity, "day")),
        "pauses": client.pauses(limit=_MOST_PAUSES, identity=identity),
        "spend": _spend(client, identity),
        "spend_by_tenant": [each for each in _spend(client, identity, "tenant") if each.tenant] if sees_all else [],
        "workers": workers(client) if sees_all else None,
        "charts": charts(now, sum(living.values()) if is_counted else None, submits, ends, spent),
    }


def _stuck(connection: Connection, identity: Identity | None, lease_seconds: float) -> list[Stuck]:
    """What is pending although no living worker takes it, that first which has been so the longest."""
    rows = overview.pending_steps(connection, identity)
    if not rows:
        return []
    wanted = [(row["agent"], row["step"], row["queue"]) for row in rows]
    served = read.serving(connection, wanted, lease_seconds=lease_seconds)
    reasons = {(row["agent"], row["step"], row["queue"]): Unserved.of(row) for row in served}
    found = [(row, reasons.get((row["agent"], row["step"], row["queue"]))) for row in rows]
    return [Stuck(row, why) for row, why in found if why is not None][:_MOST_STUCK]


def _queues(counts: Sequence[overview.CountRow]) -> list[dict[str, Any]]:
    """What is pending and running by queue, that first whose first has been pending the longest."""
    found: dict[str, dict[str, Any]] = {}
    for row in counts:
        queue = found.setdefault(row["queue"], {"queue": row["queue"], "pending": 0, "running": 0, "since": None})
        if row["status"] in ("pending", "running"):
            queue[row["status"]] += row["tasks"]
        if row["status"] == "pending":
            queue["since"] = row["since"]
    rows = [queue for queue in found.values() if queue["pending"] or queue["running"]]
    return sorted(rows, key=lambda queue: (queue["since"] is None, queue["since"] or 0, queue["queue"]))


def _kinds(counts: Sequence[overview.CountRow]) -> list[dict[str, Any]]:
    """What waits, by kind, with the time of the first."""
    tasks: dict[str, int] = defaultdict(int)
    since: dict[str, datetime] = {}
    for row in counts:
        if row["status"] == "waiting":
            kind = row["kind"] or "other"
            tasks[kind] += row["tasks"]
            if row["since"] is not None:
                since[kind] = min(since.get(kind, row["since"]), row["since"])
    return [
        {"kind": kind, "tasks": tasks[kind], "since": since.get(kind)}
        for kind in sorted(tasks, key=lambda kind: (_KINDS.index(kind) if kind in _KINDS else 9, kind))
    ]


def _spend(client: AgentTasks, identity: Identity | None, by: Any = "agent") -> list[Spent]:
    return client.spend(by, limit=_MOST_SPENDERS, identity=identity)
