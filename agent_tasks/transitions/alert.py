"""ok → firing → ok: rules that are put, claimed for a check, and told of where their state changes.

A claim takes the alert from all other sweepers until it is due again, and has a run of its own: what was measured by
one that came late, or for a rule that was changed meanwhile, is not written.
"""

import json
from typing import Any, LiteralString, TypedDict

from agent_tasks.store.access import viewer
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.alert_values import Measured
from agent_tasks.store.queries.alerts import ALERT, MAY_ACCESS, AlertRow
from agent_tasks.task.identity import Identity
from agent_tasks.transitions.audit import audited, entry

EVERY_SECONDS = 15.0
"""Between two checks of an alert; the sums of a long window are longer apart."""

# An endpoint of no tenant that an identity put is not told what a trusted program counts of all tenants.
_TOLD: LiteralString = """
    told AS (
        INSERT INTO agent_tasks.outbox (type, tenant, data)
        SELECT CASE state WHEN 'firing' THEN 'alert.firing' ELSE 'alert.resolved' END, tenant, jsonb_build_object(
            'alert', name, 'kind', kind, 'state', state, 'since', since, 'value', value, 'threshold', threshold,
            'window', window_seconds, 'agent', agent, 'queue', queue, 'found', found, 'message', %(message)s::text)
        FROM changed
        RETURNING id, tenant, type
    ), sent AS (
        INSERT INTO agent_tasks.deliveries (outbox_id, webhook_id, lane, tenant, type, ordered)
        SELECT told.id, webhooks.id, 'webhook:' || webhooks.id, told.tenant, told.type, webhooks.ordered
        FROM changed, told JOIN agent_tasks.webhooks ON webhooks.tenant = told.tenant
        WHERE webhooks.disabled_at IS NULL AND webhooks.subject IS NULL
            AND (webhooks.trusted OR NOT changed.everywhere)
            AND (webhooks.agents IS NULL OR changed.agent = ANY (webhooks.agents))
            AND (webhooks.types IS NULL OR told.type = ANY (webhooks.types))
    )
"""

_PUT = f"""
    WITH put AS (
        INSERT INTO agent_tasks.alerts (
            tenant, name, everywhere, kind, threshold, window_seconds, agent, queue, waits_for, least)
        VALUES (%(tenant)s, %(name)s, %(everywhere)s, %(kind)s, %(threshold)s, %(window_seconds)s, %(agent)s, %(queue)s,
            %(waits_for)s, %(least)s)
        ON CONFLICT (tenant, name) DO UPDATE SET
            everywhere = excluded.everywhere, kind = excluded.kind, threshold = excluded.threshold,
            window_seconds = excluded.window_seconds, agent = excluded.agent, queue = excluded.queue,
            waits_for = excluded.waits_for, least = excluded.least, due_at = excluded.due_at, run = alerts.run + 1
        WHERE {MAY_ACCESS}
        RETURNING *
    ), {audited("put", task_id="NULL::uuid")}
    SELECT {ALERT} FROM put AS alerts
"""

_OTHERS = "SELECT count(*) AS alerts FROM agent_tasks.alerts WHERE tenant = %(tenant)s AND name <> %(name)s"

_REMOVE = f"""
    WITH removed AS (
        DELETE FROM agent_tasks.alerts WHERE tenant = %(tenant)s AND name = %(name)s AND {MAY_ACCESS} RETURNING *
    ), changed AS (
        SELECT tenant, name, everywhere, kind, threshold, window_seconds, agent, queue, value, found, 'ok' AS state,
            clock_timestamp() AS since
        FROM removed WHERE state = 'firing'
    ), {_TOLD}, {audited("removed", task_id="NULL::uuid")}
    SELECT FROM removed
"""

_CLAIM = f"""
    UPDATE agent_tasks.alerts SET run = run + 1, due_at = statement_timestamp() + make_interval(
        secs => greatest(%(every)s, CASE kind WHEN 'spend' THEN window_seconds / 1000 ELSE 0 END))
    FROM (
        SELECT tenant, name FROM agent_tasks.alerts WHERE due_at <= statement_timestamp()
        ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE alerts.tenant = due.tenant AND alerts.name = due.name
    RETURNING {ALERT}
"""

_CHECK = f"""
    WITH before AS (
        SELECT tenant, name, state FROM agent_tasks.alerts
        WHERE tenant = %(tenant)s AND name = %(name)s AND run = %(run)s FOR UPDATE
    ), checked AS (
        UPDATE agent_tasks.alerts SET value = %(value)s, found = %(found)s::jsonb, checked_at = clock_timestamp(),
            state = CASE WHEN %(value)s::float8 >= alerts.threshold THEN 'firing' ELSE 'ok' END,
            since = CASE WHEN (alerts.state = 'firing') = (coalesce(%(value)s::float8 >= alerts.threshold, false))
                THEN alerts.since ELSE clock_timestamp() END
        FROM before WHERE alerts.tenant = before.tenant AND alerts.name = before.name
        RETURNING alerts.*, before.state AS state_before
    ), changed AS (
        SELECT * FROM checked WHERE state <> state_before
    ), {_TOLD}
    SELECT state FROM changed
"""


class _StateRow(TypedDict):
    state: str


def put(connection: Connection, *, identity: Identity | None, **values: Any) -> AlertRow | None:
    """Make an alert, or change the rule of the one of its name, which is then checked at once and keeps its state.

    None where there is one that `identity` may not change.
    """
    said = entry("put_alert", identity, target=values["name"], data={"kind": values["kind"]})
    return connection.execute(_PUT, {**values, **viewer(identity), **said}).fetchone()


def others(connection: Connection, tenant: str, name: str) -> int:
    """Count the alerts of the tenant beside that of this name."""
    row = connection.execute(_OTHERS, {"tenant": tenant, "name": name}).fetchone()
    assert row is not None
    return row["alerts"]


def remove(connection: Connection, tenant: str, name: str, identity: Identity | None) -> bool:
    """Remove an alert; that one that fires is over is told of. False where there is no such alert."""
    said = entry("remove_alert", identity, target=name)
    values = {"tenant": tenant, "name": name, "message": f"{name} was removed.", **viewer(identity), **said}
    return connection.execute(_REMOVE, values).fetchone() is not None


def claim(connection: Connection) -> AlertRow | None:
    """Claim the alert that has been due for longest, until it is due again; None where none is."""
    return connection.execute(_CLAIM, {"every": EVERY_SECONDS}).fetchone()


def check(connection: Connection, claimed: AlertRow, measured: Measured, message: str) -> str | None:
    """Write what was measured, and tell of it where the state changes, with `message`; returns the new state then.

    Nothing is written where the claim is not the last one, or the rule was changed meanwhile.
    """
    values = {"tenant": claimed["tenant"], "name": claimed["name"], "run": claimed["run"], "message": message}
    values |= {"value": measured["value"], "found": json.dumps(measured["found"])}
    row: _StateRow | None = connection.execute(_CHECK, values, prepare=False).fetchone()
    return row and row["state"]
