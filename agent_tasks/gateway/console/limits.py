"""*Limits*: what a tenant, an agent's task and a payload may have at most, and how near to it tenants are."""

from typing import Any

from agent_tasks.client.alerts import MOST as MOST_ALERTS
from agent_tasks.gateway.console.visitor import Look
from agent_tasks.store.queries import overview


def look(look: Look) -> dict[str, Any]:
    """What the page shows."""
    settings = look.gate.settings
    identity = look.caller.viewer
    sees_tenant = identity is None or "tasks:all" in identity.scopes
    rows: list[overview.OpenRow] = []
    if sees_tenant:
        with look.client.database.connection() as connection:
            rows = overview.open_tasks(connection, identity)
    return {
        "is_limited": look.caller.is_limited,
        "rate": settings.gateway_rate,
        "most_open": settings.gateway_open_tasks,
        "tenants": rows,
        "sees_tenant": sees_tenant,
        "counted": overview.COUNTED,
        "agents": [agent for agent in look.client.agents() if agent.budget is not None],
        "sizes": {
            "Payload": (f"{settings.payload_limit:,} bytes", "AGENT_TASKS_PAYLOAD_LIMIT"),
            "Request": (f"{settings.gateway_body_limit:,} bytes", "AGENT_TASKS_GATEWAY_BODY_LIMIT"),
            "Alerts": (f"{MOST_ALERTS:,} of a tenant", ""),
        },
    }
