"""The secrets that webhooks are signed with, as Standard Webhooks writes them."""

import base64
import binascii
import secrets
from typing import Any

from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import check_text

PREFIX = "whsec_"
_LEAST, _MOST = 24, 64
"""Bytes of a secret, of the specification."""


def new_secret() -> str:
    """Return a secret of 32 random bytes."""
    return secret_of(secrets.token_bytes(32))


def secret_of(key: bytes) -> str:
    """Return the bytes of a secret as text."""
    return PREFIX + base64.b64encode(key).decode()


def check_secret(secret: Any) -> str:
    """Return a secret of the user's own. Raises InvalidInput, in which the secret does not stand."""
    check_text(secret, "secret", 200, printable=True)
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not _LEAST <= len(key) <= _MOST:
        raise InvalidInput(
            f"secret must be {PREFIX} and the base64 of {_LEAST} to {_MOST} random bytes, or left out.",
            field="secret",
        )
    return secret_of(key)
