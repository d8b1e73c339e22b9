"""Idempotency keys: the task that was first with a key, and its request."""

import json
from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

from agent_tasks.errors import KeyInUse
from agent_tasks.store.database import Connection

_RESERVE = """
    INSERT INTO agent_tasks.idempotency_keys AS kept (tenant, subject, key, digest, task_id, expires_at)
    VALUES (%(tenant)s, %(subject)s, %(key)s, %(digest)s, %(task_id)s,
            clock_timestamp() + make_interval(secs => %(seconds)s))
    ON CONFLICT (tenant, subject, key) DO UPDATE
    SET digest = excluded.digest, task_id = excluded.task_id, expires_at = excluded.expires_at
    WHERE kept.expires_at < clock_timestamp()
    RETURNING task_id
"""

# A second statement: the loser of a race does not see the winner's row in its own INSERT's snapshot.
_FIND = """
    SELECT task_id, digest FROM agent_tasks.idempotency_keys
    WHERE tenant = %(tenant)s AND subject = %(subject)s AND key = %(key)s
"""

_KEPT = f"{_FIND} AND expires_at > clock_timestamp()"

_IN_FLIGHT = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS is_ours"


class KeptRow(TypedDict):
    """What is kept with a key."""

    task_id: UUID
    digest: bytes
    """Of the request that was first with it."""


def reserve(
    connection: Connection,
    *,
    tenant: str,
    subject: str,
    key: str,
    digests: Sequence[bytes],
    task_id: UUID,
    seconds: float,
    waits: bool = True,
) -> tuple[UUID, bool]:
    """Take the key, or find the task that has it, and whether for the same request: (`task_id`, True) where it is ours.

    The first of `digests` is kept with a new key; any of them makes a request the same as that of an old one.
    Within a transaction that goes on to submit the task; a rival with the same key waits for its end. Where neither
    `waits`, the second raises KeyInUse.
    """
    if not waits:
        _take_turn(connection, json.dumps([tenant, subject, key]), key)
    scope = {"tenant": tenant, "subject": subject, "key": key}
    mine = {**scope, "digest": digests[0], "task_id": task_id, "seconds": seconds}
    if connection.execute(_RESERVE, mine).fetchone():
        return task_id, True
    found: KeptRow | None = connection.execute(_FIND, scope).fetchone()
    if found is None:  # it expired and was purged between the two statements
        return reserve(
            connection, tenant=tenant, subject=subject, key=key, digests=digests, task_id=task_id, seconds=seconds
        )
    return found["task_id"], bytes(found["digest"]) in digests


def find(connection: Connection, *, tenant: str, subject: str, key: str) -> KeptRow | None:
    """Return what is kept with this key; None where no task has it."""
    return connection.execute(_KEPT, {"tenant": tenant, "subject": subject, "key": key}).fetchone()


def is_kept(connection: Connection, *, tenant: str, subject: str, key: str) -> bool:
    """Whether a task has this key."""
    return find(connection, tenant=tenant, subject=subject, key=key) is not None


def _take_turn(connection: Connection, place: str, key: str) -> None:
    row = connection.execute(_IN_FLIGHT, [place]).fetchone()
    assert row is not None
    if not row["is_ours"]:
        raise KeyInUse(
            f"A request with the idempotency key {key!r} is being accepted at this moment. Send it again.",
            retry_after=1,
            field="idempotency_key",
        )
