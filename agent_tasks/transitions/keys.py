"""API keys: rows that say whom a key stands for. Of the key itself there is a digest."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, TypedDict

from agent_tasks.store.database import Connection
from agent_tasks.transitions.audit import audited, entry


class KeyRow(TypedDict):
    """What of a key may be shown."""

    id: str
    tenant: str
    subject: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyInUse(KeyRow):
    """A key that somebody has come with."""

    digest: bytes
    has_expired: bool
    is_use_old: bool
    """Its last use was noted a minute ago or earlier, or never."""


_SHOWN: LiteralString = "id, tenant, subject, scopes, created_at, expires_at, last_used_at, revoked_at"

_CREATE = f"""
    WITH made AS (
        INSERT INTO agent_tasks.api_keys (id, tenant, subject, scopes, digest, expires_at)
        VALUES (%(id)s, %(tenant)s, %(subject)s, %(scopes)s, %(digest)s,
            clock_timestamp() + make_interval(secs => %(expires_in)s))
        RETURNING {_SHOWN}
    ), {audited("made", task_id="NULL::uuid")}
    SELECT * FROM made
"""

# The audit hears of the first time only; the update comes after the look.
_REVOKE = f"""
    WITH living AS (
        SELECT FROM agent_tasks.api_keys WHERE id = %(id)s AND revoked_at IS NULL FOR UPDATE
    ), revoked AS (
        UPDATE agent_tasks.api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp())
        FROM (SELECT count(*) FROM living) AS looked WHERE id = %(id)s
        RETURNING {_SHOWN}
    ), {audited("living", task_id="NULL::uuid")}
    SELECT * FROM revoked
"""

_FIND = f"""
    SELECT {_SHOWN}, digest, coalesce(expires_at <= clock_timestamp(), false) AS has_expired,
        coalesce(last_used_at <= clock_timestamp() - interval '1 minute', true) AS is_use_old
    FROM agent_tasks.api_keys WHERE id = %s
"""

# Whoever else notes it, or revokes the key, is not waited for.
_USED = """
    UPDATE agent_tasks.api_keys SET last_used_at = clock_timestamp(), digest = %(digest)s
    WHERE id = (SELECT id FROM agent_tasks.api_keys WHERE id = %(id)s FOR UPDATE SKIP LOCKED)
"""


def create(
    connection: Connection,
    *,
    id: str,
    tenant: str,
    subject: str,
    scopes: Sequence[str],
    digest: bytes,
    expires_in: float | None,
) -> KeyRow:
    """Keep a new key, which is valid for `expires_in` seconds from now, or until it is revoked."""
    values = {"id": id, "tenant": tenant, "subject": subject, "scopes": list(scopes), "digest": digest}
    data = {"tenant": tenant, "subject": subject, "scopes": list(scopes)}
    said = entry("create_key", None, target=id, data=data)
    row = connection.execute(_CREATE, {**values, "expires_in": expires_in, **said}).fetchone()
    assert row is not None
    return row


def find(connection: Connection, id: str) -> KeyInUse | None:
    """The key of this id, whatever its state."""
    return connection.execute(_FIND, [id]).fetchone()


def used(connection: Connection, id: str, digest: bytes) -> None:
    """Note that a key was used now, and its digest by the newest signing key."""
    connection.execute(_USED, {"id": id, "digest": digest})


def all_keys(connection: Connection, tenant: str | None) -> list[KeyRow]:
    """Those of a tenant, or all, the oldest first."""
    sql = (
        f"SELECT {_SHOWN} FROM agent_tasks.api_keys WHERE %(tenant)s::text IS NULL OR tenant = %(tenant)s "
        "ORDER BY created_at, id"
    )
    return connection.execute(sql, {"tenant": tenant}).fetchall()


def revoke(connection: Connection, id: str) -> KeyRow | None:
    """End a key now, unless it has ended before; None where there is none of this id."""
    return connection.execute(_REVOKE, {"id": id, **entry("revoke_key", None, target=id)}).fetchone()
