"""The signed envelope in a message's headers: the caller, the budget left, the parent, and the checkpoint."""

import base64
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from agent_tasks.task.identity import Identity
from agent_tasks.task.signing import is_signed, mac

HEADER = "agent_tasks"
_VERSION = "v1"


class ForgedEnvelope(Exception):
    """The signature does not match, or the signed content is not an envelope of this message."""


class Envelope(BaseModel):
    """The content of a message. Postgres remains the truth: a claim reads the row and trusts no amount in here."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    root_id: UUID
    parent_id: UUID | None = None
    agent: str
    step: str
    step_number: int
    """The checkpoint: the number of steps committed before this one."""
    identity: Identity | None = None
    session_id: str | None = None
    budget: dict[str, Any] = {}
    """What was left when the bell rang."""

    @property
    def task_name(self) -> str:
        return f"{self.agent}.{self.step}"


def sign(envelope: Envelope, key: bytes) -> str:
    return sign_text(envelope.model_dump_json(exclude_defaults=True), key)


def sign_text(envelope_json: str, key: bytes) -> str:
    payload = base64.urlsafe_b64encode(envelope_json.encode()).decode()
    return f"{_VERSION}.{payload}.{mac(_signed_part(payload), key).decode()}"


def verify(signed: Any, *keys: bytes) -> Envelope:
    """Return the envelope. Raises ForgedEnvelope if no key has signed it, or it was altered since."""
    try:
        version, payload, signature = signed.encode("ascii").decode().split(".")
    except (AttributeError, TypeError, ValueError):
        raise ForgedEnvelope("no envelope of a known form") from None
    if version != _VERSION or not is_signed(_signed_part(payload), signature.encode(), keys):
        raise ForgedEnvelope("the signature is not by any key that this process has")
    try:
        return Envelope.model_validate_json(base64.urlsafe_b64decode(payload))
    except (ValueError, ValidationError) as error:
        raise ForgedEnvelope(f"the signed payload is no envelope: {error}") from None


def _signed_part(payload: str) -> bytes:
    return f"{_VERSION}.{payload}".encode()
