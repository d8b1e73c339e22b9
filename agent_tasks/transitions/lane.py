"""Lanes whose last delivery failed, and endpoints that are disabled by what they answer."""

import json
from collections.abc import Collection, Mapping
from typing import Literal, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.transitions.audit import audited, entry

_WORKED = "DELETE FROM agent_tasks.lanes WHERE name = ANY (%s)"

# In order of their names: two that write of the same lanes wait for each other in no circle.
_FAILED = """
    INSERT INTO agent_tasks.lanes AS lane (name, failures, failing_since)
    SELECT name, failures, clock_timestamp()
    FROM jsonb_to_recordset(%(failed)s::jsonb) AS failed (name text, failures int) ORDER BY name
    ON CONFLICT (name) DO UPDATE SET failures = lane.failures + excluded.failures
    RETURNING name, failures,
        failing_since <= clock_timestamp() - make_interval(secs => %(given_up_seconds)s) AS is_given_up
"""


class FailingRow(TypedDict):
    """A lane whose last delivery failed."""

    name: str
    failures: int
    """In a row."""
    is_given_up: bool


# By the number of days, not by when it was last tried, which of few failures is not known. (OFFSET 0: the rows of each
# lane are looked up by themselves.)
_FORGET = """
    DELETE FROM agent_tasks.lanes WHERE failing_since < clock_timestamp() - make_interval(secs => %s)
        AND NOT EXISTS (
            SELECT FROM agent_tasks.deliveries WHERE deliveries.lane = lanes.name AND deliveries.status = 'pending'
            ORDER BY deliveries.lane, deliveries.task_id, deliveries.seq OFFSET 0)
"""

_PAUSE = """
    UPDATE agent_tasks.lanes SET retry_at = clock_timestamp() + make_interval(secs => pause.seconds)
    FROM jsonb_to_recordset(%(pauses)s::jsonb) AS pause (name text, seconds float8) WHERE lanes.name = pause.name
"""

# The URL is the fence: what an endpoint answered before it was moved is not the new one's answer.
_DISABLE = f"""
    WITH disabled AS (
        UPDATE agent_tasks.webhooks SET disabled_at = clock_timestamp(), disabled_why = %(why)s
        WHERE id = %(id)s AND disabled_at IS NULL AND (%(url)s::text IS NULL OR url = %(url)s)
        RETURNING id, tenant, name, subject
    ), told AS (
        INSERT INTO agent_tasks.outbox (type, tenant, subject, data)
        SELECT 'webhook.disabled', tenant, subject, jsonb_build_object('webhook', name, 'why', %(why)s::text)
        FROM disabled
        RETURNING id, tenant, subject, type
    ), others AS (
        INSERT INTO agent_tasks.deliveries (outbox_id, webhook_id, lane, tenant, subject, type, ordered)
        SELECT told.id, other.id, 'webhook:' || other.id, told.tenant, told.subject, told.type, other.ordered
        FROM told JOIN agent_tasks.webhooks AS other ON other.tenant = told.tenant
        WHERE other.id <> %(id)s AND other.disabled_at IS NULL AND other.agents IS NULL
            AND (other.types IS NULL OR told.type = ANY (other.types))
            AND (other.subject IS NULL OR other.subject = told.subject)
    ), {audited("disabled", task_id="NULL::uuid", tenant="disabled.tenant", target="disabled.name")}
    SELECT name, tenant FROM disabled
"""


class DisabledRow(TypedDict):
    name: str
    tenant: str


def worked(connection: Connection, lanes: Collection[str]) -> None:
    """Note that deliveries of these lanes were accepted: whatever failed before is forgotten."""
    connection.execute(_WORKED, [list(lanes)])


def failed(connection: Connection, failures: Mapping[str, int], *, given_up_seconds: float) -> list[FailingRow]:
    """Note so many failures of each lane; `is_given_up`: nothing else has happened for `given_up_seconds`."""
    given = json.dumps([{"name": name, "failures": number} for name, number in sorted(failures.items())])
    return connection.execute(_FAILED, {"failed": given, "given_up_seconds": given_up_seconds}).fetchall()


def forget(connection: Connection, seconds: float) -> int:
    """Forget lanes that have failed for so long, and for which nothing is left to be sent."""
    return connection.execute(_FORGET, [seconds]).rowcount


def pause(connection: Connection, seconds: Mapping[str, float]) -> None:
    """Send nothing to these lanes for so long."""
    given = json.dumps([{"name": name, "seconds": each} for name, each in seconds.items()])
    connection.execute(_PAUSE, {"pauses": given})


def disable(
    connection: Connection, webhook_id: UUID, *, url: str | None, why: Literal["gone", "failing"]
) -> DisabledRow | None:
    """Disable an endpoint, and tell the tenant's others; None where it was disabled, or moved from `url`."""
    said = entry("disable_webhook", None, data={"why": why})
    return connection.execute(_DISABLE, {"id": webhook_id, "url": url, "why": why, **said}).fetchone()
