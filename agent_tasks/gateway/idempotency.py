"""The Idempotency-Key of a request, as in the expired draft-ietf-httpapi-idempotency-key-header-07."""

import hashlib
import json
import re

from agent_tasks.gateway.bodies import SubmitBody
from agent_tasks.gateway.refusals import Refused

_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
"""A string of structured fields (RFC 9651, 3.3.3)."""
_BARE = re.compile(r"[\x21\x23-\x7e]{1,255}")


def key_of(header: str | None) -> str | None:
    """The key, whether quoted, as the draft asks, or bare, as most send it. Raises Refused (400)."""
    if header is None:
        return None
    given = header.strip()
    if quoted := _QUOTED.fullmatch(given):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    else:
        key = given if _BARE.fullmatch(given) else ""
    if not 1 <= len(key) <= 255:
        raise Refused(
            400,
            "invalid_idempotency_key",
            "The Idempotency-Key cannot be read",
            'Idempotency-Key must be 1 to 255 printable ASCII characters, in quotes ("8e03978e-40d5") or bare.',
            field="Idempotency-Key",
        )
    return key


def request_digest(body: SubmitBody) -> bytes:
    """What makes two requests with the same key the same one: all that was sent, in whatever order."""
    said = json.dumps(body.model_dump(exclude_unset=True), sort_keys=True)
    return hashlib.sha256(said.encode()).digest()
