"""The tables, and the constraints by which the database itself defends the invariants."""

from agent_tasks.store.tables import access, agentcore, levers, processes, schedules, signals, steps, tasks, webhooks
from agent_tasks.store.tables.schema import SCHEMA, metadata

__all__ = [
    "SCHEMA",
    "access",
    "agentcore",
    "levers",
    "metadata",
    "processes",
    "schedules",
    "signals",
    "steps",
    "tasks",
    "webhooks",
]
