"""The secrets with which outside systems sign what they send to hooks: AGENT_TASKS_HOOK_SECRETS."""

import base64
import re

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_PREFIX = "whsec_"
_LEAST, _MOST = 24, 64
"""Bytes of a secret, by the specification of Standard Webhooks."""


def hook_secrets(text: str) -> dict[str, list[bytes]]:
    """Return the secrets by name, from `whsec_…` and `name=whsec_…` with commas between; several of a name all verify.

    Raises ValueError that shows no secret.
    """
    found: dict[str, list[bytes]] = {}
    for number, part in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        before, prefix, encoded = part.partition(_PREFIX)
        name = before.removesuffix("=")
        if not prefix or (before and not (before.endswith("=") and _NAME.match(name))):
            raise ValueError(f"each must be whsec_… or name=whsec_…, which number {number} is not")
        try:
            secret = base64.b64decode(encoded, validate=True)
        except ValueError:
            secret = b""
        if not _LEAST <= len(secret) <= _MOST:
            raise ValueError(f"after whsec_ come {_LEAST} to {_MOST} bytes in base64, which number {number} has not")
        found.setdefault(name, []).append(secret)
    return found
