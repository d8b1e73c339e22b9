"""The keys of a deployment: the newest signs, all of them verify, and a fingerprint tells them apart."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

_SALT = b"agent-tasks key fingerprint"
_COST = 2**12
"""So that who reads fingerprints cannot try passwords by the billion; 10 ms a key."""


def keys_of(text: str) -> tuple[bytes, ...]:
    """The keys in AGENT_TASKS_SECRET_KEY: with commas, newest first."""
    return tuple(part.strip().encode() for part in text.split(",") if part.strip())


def mac(data: bytes, key: bytes) -> bytes:
    """The signature of `data`: URL-safe base64."""
    return base64.urlsafe_b64encode(hmac.digest(key, data, hashlib.sha256)).rstrip(b"=")


def is_signed(data: bytes, given: bytes, keys: Sequence[bytes]) -> bool:
    """Whether `given` is the signature of `data` by any of the keys."""
    return any(hmac.compare_digest(given, mac(data, key)) for key in keys)


def fingerprints(keys: Sequence[bytes]) -> list[str]:
    """What tells keys apart and does not give them away, in their order."""
    return [hashlib.scrypt(key, salt=_SALT, n=_COST, r=8, p=1, dklen=6).hex() for key in keys]
