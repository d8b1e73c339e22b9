"""Lanes whose last delivery failed, and endpoints that are disabled by what they answer."""

import json
from collections.abc import Collection, Mapping
from typing import Literal, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.transitions.audit import audited, entry

SILENCE_SECONDS = 27 * 3600.0
"""Without a failure for so long, which is longer than any gap between two attempts, counting starts anew."""
_GIVEN_UP_FAILURES = 10
"""Fewer say nothing, however long they take."""

# What the receiver has asked for stands, whatever else it accepts meanwhile.
_WORKED = """
    WITH asked AS (
        UPDATE agent_tasks.lanes SET failures = 0, failing_since = NULL, retry_at = NULL
        WHERE name = ANY (%(lanes)s) AND asked_until > statement_timestamp()
    )
    DELETE FROM agent_tasks.lanes
    WHERE name = ANY (%(lanes)s) AND (asked_until IS NULL OR asked_until <= statement_timestamp())
"""

# In order of their names: two that write of the same lanes wait for each other in no circle.
_FAILED = """
    INSERT INTO agent_tasks.lanes AS lane (name, failures, failing_since)
    SELECT name, failures, clock_timestamp()
    FROM jsonb_to_recordset(%(failed)s::jsonb) AS failed (name text, failures int) ORDER BY name
    ON CONFLICT (name) DO UPDATE SET last_at = clock_timestamp(),
        (failures, failing_since) = (
            SELECT excluded.failures + CASE WHEN goes_on THEN lane.failures ELSE 0 END,
                coalesce(CASE WHEN goes_on THEN lane.failing_since END, clock_timestamp())
            FROM (SELECT lane.last_at >= clock_timestamp() - make_interval(secs => %(silence)s) AS goes_on) AS before)
    RETURNING name, failures, failures >= %(least)s
        AND failing_since <= clock_timestamp() - make_interval(secs => %(given_up_seconds)s) AS is_given_up
"""


class FailingRow(TypedDict):
    """A lane whose last delivery failed."""

    name: str
    failures: int
    """In a row."""
    is_given_up: bool


_FORGET = "DELETE FROM agent_tasks.lanes WHERE last_at < clock_timestamp() - make_interval(secs => %s)"

_PAUSE = """
    UPDATE agent_tasks.lanes SET
        retry_at = CASE WHEN pause.seconds IS NULL THEN retry_at
            ELSE clock_timestamp() + make_interval(secs => pause.seconds) END,
        asked_until = greatest(asked_until, clock_timestamp() + make_interval(secs => pause.asked))
    FROM jsonb_to_recordset(%(pauses)s::jsonb) AS pause (name text, seconds float8, asked float8)
    WHERE lanes.name = pause.name
"""

# What is here stands until this transaction ends.
_URLS = "SELECT id, url FROM agent_tasks.webhooks WHERE id = ANY (%s) ORDER BY id FOR NO KEY UPDATE"

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
    connection.execute(_WORKED, {"lanes": list(lanes)})


def failed(connection: Connection, failures: Mapping[str, int], *, given_up_seconds: float) -> list[FailingRow]:
    """Note so many failures of each lane; `is_given_up`: nothing else has happened for `given_up_seconds`."""
    given = json.dumps([{"name": name, "failures": number} for name, number in sorted(failures.items())])
    values = {"failed": given, "silence": SILENCE_SECONDS, "least": _GIVEN_UP_FAILURES}
    return connection.execute(_FAILED, {**values, "given_up_seconds": given_up_seconds}).fetchall()


def forget(connection: Connection) -> int:
    """Forget lanes that have not failed for so long that their next failure is a first one."""
    return connection.execute(_FORGET, [SILENCE_SECONDS]).rowcount


def pause(connection: Connection, seconds: Mapping[str, float], asked: Mapping[str, float]) -> None:
    """Send nothing to these lanes for so long, nor for as long as they have `asked` for themselves."""
    pauses = [{"name": name, "seconds": seconds.get(name), "asked": asked.get(name)} for name in {*seconds, *asked}]
    connection.execute(_PAUSE, {"pauses": json.dumps(pauses)})


def urls(connection: Connection, webhooks: Collection[UUID]) -> dict[UUID, str]:
    """Return where these endpoints are now, and remain until the transaction ends."""
    return {row["id"]: row["url"] for row in connection.execute(_URLS, [list(webhooks)])}


def disable(
    connection: Connection, webhook_id: UUID, *, url: str | None, why: Literal["gone", "failing"]
) -> DisabledRow | None:
    """Disable an endpoint, and tell the tenant's others; None where it was disabled, or moved from `url`."""
    said = entry("disable_webhook", None, data={"why": why})
    return connection.execute(_DISABLE, {"id": webhook_id, "url": url, "why": why, **said}).fetchone()
