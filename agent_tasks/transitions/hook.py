"""running → running: a hook that a step makes is recorded, so that a repeat of the step has the same URL."""

from datetime import datetime
from typing import TypedDict

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import OWNED
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import lost

_FIND = f"""
    SELECT hooks.url, clock_timestamp() + make_interval(secs => %(seconds)s::float8) AS expires_at
    FROM agent_tasks.tasks LEFT JOIN agent_tasks.hooks ON hooks.task_id = tasks.id
        AND hooks.step_number = %(step_number)s AND hooks.fingerprint = %(fingerprint)s
    WHERE {OWNED}
"""

_KEEP = f"""
    WITH owned AS (
        SELECT tasks.id, tasks.run FROM agent_tasks.tasks WHERE {OWNED} FOR NO KEY UPDATE
    )
    INSERT INTO agent_tasks.hooks (task_id, step_number, fingerprint, url, made_by, run)
    SELECT id, %(step_number)s, %(fingerprint)s, %(url)s, id, run FROM owned
    ON CONFLICT (task_id, step_number, fingerprint) DO UPDATE SET url = hooks.url
    RETURNING url
"""


class FoundHook(TypedDict):
    """The URL that was recorded, if any, and when a hook that is made now expires, if ever."""

    url: str | None
    expires_at: datetime | None


def find_hook(connection: Connection, claim: Claim, fingerprint: str, seconds: float | None) -> FoundHook:
    """Find the step's hook of this fingerprint; `seconds` is how long a new one lives. Raises LeaseLost."""
    values = {**claim.fence, "fingerprint": fingerprint, "seconds": seconds}
    row: FoundHook | None = connection.execute(_FIND, values).fetchone()
    if row is None:
        raise lost(claim)
    return row


def keep_hook(connection: Connection, claim: Claim, fingerprint: str, url: str) -> str:
    """Record the step's hook of this fingerprint, and return its URL: of two threads', the first. Raises LeaseLost."""
    row = connection.execute(_KEEP, {**claim.fence, "fingerprint": fingerprint, "url": url}).fetchone()
    if row is None:
        raise lost(claim)
    return row["url"]
