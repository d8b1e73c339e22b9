"""*Now*: what runs, waits, is pending and is paused, what has failed, what was spent, and who works."""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from agent_tasks.client.client import AgentTasks
from agent_tasks.client.spending import Spent
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.gateway.console.workers import workers
from agent_tasks.store.queries import console
from agent_tasks.task.identity import Identity

_KINDS = ("signal", "timer", "children", "retry", "task")
_BIN = timedelta(minutes=30)
_MOST_SPENDERS, _MOST_PAUSES = 8, 20


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    identity = look.caller.viewer
    with look.client.database.connection() as connection:
        counts = console.counts(connection, identity)
        failures = console.failures(connection, identity)
        ends = console.ends(connection, identity)
        now = console.now(connection)["now"]
    sees_all = look.visitor.sees_all
    return {
        "counted": console.COUNTED,
        "running": sum(row["tasks"] for row in counts if row["status"] == "running"),
        "pending": _of(counts, "pending"),
        "waiting": _of(counts, "waiting"),
        "queues": _queues(counts),
        "kinds": _kinds(counts),
        "failures": failures,
        "spent_today": sum(each.usd for each in _spend(look.client, identity, "day")),
        "pauses": look.client.pauses(limit=_MOST_PAUSES, identity=identity),
        "spend": _spend(look.client, identity),
        "spend_by_tenant": _spend(look.client, identity, "tenant") if sees_all else [],
        "workers": workers(look.client) if sees_all else None,
        "chart": json.dumps(_chart(ends, now)),
        "ended": sum(row["tasks"] for row in ends),
    }


def _of(counts: list[console.CountRow], status: str) -> int:
    return sum(row["tasks"] for row in counts if row["status"] == status)


def _queues(counts: list[console.CountRow]) -> list[dict[str, Any]]:
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


def _kinds(counts: list[console.CountRow]) -> list[dict[str, Any]]:
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


def _chart(ends: list[console.EndRow], now: datetime) -> list[list[float]]:
    """The last day in half hours: times, completed, not completed."""
    last = now - (now - datetime(2000, 1, 1, tzinfo=now.tzinfo)) % _BIN
    times = [last - _BIN * back for back in range(47, -1, -1)]
    found: dict[datetime, list[int]] = {at: [0, 0] for at in times}
    for row in ends:
        if row["at"] in found:
            found[row["at"]][row["status"] != "completed"] += row["tasks"]
    return [
        [at.timestamp() for at in times],
        [found[at][0] for at in times],
        [found[at][1] for at in times],
    ]
