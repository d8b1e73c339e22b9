"""API keys: a caller with a key has the identity that the key was made for."""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.client.unauthenticated import Unauthenticated
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import LONGEST_WAIT, check_text, refused
from agent_tasks.task.identity import Identity
from agent_tasks.transitions import keys as rows

log = logging.getLogger(__name__)
PREFIX = "at_"
"""The beginning of every key."""
_FORM = re.compile(rf"{PREFIX}([0-9a-f]{{16}})_([\w-]{{43}})", re.ASCII)
_MOST_SCOPES = 100
_TO_DO = "Make one with `agent-tasks keys create`."


class ApiKey(BaseModel):
    """A key as it may be shown: its identity, and when it expires; times are the database's."""

    model_config = ConfigDict(frozen=True)

    id: str
    tenant: str = ""
    subject: str
    scopes: tuple[str, ...] = ()
    created_at: datetime
    expires_at: datetime | None = None
    """The end of its validity; None: it is valid until it is revoked."""
    last_used_at: datetime | None = None
    """The last use, to the minute."""
    revoked_at: datetime | None = None

    @classmethod
    def from_row(cls, row: rows.KeyRow) -> "ApiKey":
        """Build it from a row, without the digest."""
        return ApiKey.model_validate({name: row[name] for name in ApiKey.model_fields})

    @property
    def identity(self) -> Identity:
        """The identity for which the key stands."""
        return Identity(subject=self.subject, tenant=self.tenant, scopes=self.scopes)


class NewKey(ApiKey):
    """A key that was just made, with the key itself, which is kept nowhere and never shown again."""

    key: str = Field(repr=False)


def create_key(
    deployment: Deployment,
    *,
    tenant: str,
    subject: str,
    scopes: Iterable[str],
    expires_in: float | timedelta | None,
) -> NewKey:
    """Make a key. Raises InvalidInput for arguments that no key can have."""
    if tenant != "":
        check_text(tenant, "tenant", 256)
    check_text(subject, "subject", 256)
    granted = _checked_scopes(scopes)
    seconds = expires_in.total_seconds() if isinstance(expires_in, timedelta) else expires_in
    if seconds is not None and (type(seconds) not in (int, float) or not 0 < seconds <= LONGEST_WAIT):
        raise refused("expires_in must be seconds, above zero and at most a hundred years", expires_in, "expires_in")
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    with deployment.database.connection() as connection:
        row = rows.create(
            connection,
            id=key_id,
            tenant=tenant,
            subject=subject,
            scopes=granted,
            digest=_digest(secret, deployment.peppers[0]),
            expires_in=seconds,
        )
    return NewKey(**ApiKey.from_row(row).model_dump(), key=f"{PREFIX}{key_id}_{secret}")


def all_keys(deployment: Deployment, tenant: str | None) -> list[ApiKey]:
    """Return all keys, or those of a tenant. Raises InvalidInput for an impossible tenant."""
    if tenant not in (None, ""):
        check_text(tenant, "tenant", 256)
    with deployment.database.connection() as connection:
        return [ApiKey.from_row(row) for row in rows.all_keys(connection, tenant)]


def revoke_key(deployment: Deployment, id: str) -> bool:
    """Revoke a key; return False if there is none of this id."""
    check_text(id, "id", 256)
    with deployment.database.connection() as connection:
        return rows.revoke(connection, id) is not None


def verify(deployment: Deployment, token: str) -> ApiKey:
    """Return the key to which a caller's token belongs. Raises Unauthenticated, which says what to do."""
    form = _FORM.fullmatch(token)
    if form is None:
        raise Unauthenticated(
            f"This is no API key: keys are {PREFIX}<id>_<secret>, as `agent-tasks keys create` shows them. Send it all."
        )
    key_id, secret = form.groups()
    digests = [_digest(secret, pepper) for pepper in deployment.peppers]
    with deployment.database.connection() as connection:
        row = rows.find(connection, key_id)
        if row is None or not _is_one_of(bytes(row["digest"]), digests):
            raise Unauthenticated(f"There is no such API key. {_TO_DO}")
        _check_valid(row)
        if row["is_use_old"]:
            try:
                rows.used(connection, key_id, digests[0])
            except psycopg.Error as error:
                log.warning("The last use of the API key %s could not be noted: %s", key_id, error)
    return ApiKey.from_row(row)


def find_valid(deployment: Deployment, id: str) -> ApiKey:
    """Return the key of this id, whose secret was shown before. Raises Unauthenticated where it is valid no more."""
    with deployment.database.connection() as connection:
        row = rows.find(connection, id)
    if row is None:
        raise Unauthenticated(f"There is no such API key. {_TO_DO}")
    _check_valid(row)
    return ApiKey.from_row(row)


def _check_valid(row: rows.KeyInUse) -> None:
    if row["revoked_at"] is not None:
        raise Unauthenticated(f"The API key {row['id']} was revoked. {_TO_DO}")
    if row["has_expired"]:
        raise Unauthenticated(f"The API key {row['id']} has expired. {_TO_DO}")


def _digest(secret: str, pepper: bytes) -> bytes:
    return hmac.digest(pepper, secret.encode(), hashlib.sha256)


def _is_one_of(digest: bytes, digests: Sequence[bytes]) -> bool:
    """Whether it is one of these, checked in the same time whichever it is."""
    return any([hmac.compare_digest(digest, each) for each in digests])  # noqa: C419


def _checked_scopes(scopes: Any) -> list[str]:
    if isinstance(scopes, str | bytes) or not isinstance(scopes, Iterable):
        raise refused("scopes must be a list of texts", scopes, "scopes")
    granted: list[Any] = list(scopes)
    for scope in granted:
        check_text(scope, "scopes", 256, printable=True)
        if " " in scope:
            raise refused("a scope has no space in it", scope, "scopes")
    if len(granted) > _MOST_SCOPES:
        raise InvalidInput(f"scopes must be at most {_MOST_SCOPES}, not {len(granted):,}", field="scopes")
    return list(dict.fromkeys(granted))
