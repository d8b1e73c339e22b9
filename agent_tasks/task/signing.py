"""The signing keys of a deployment: the newest signs, all of them verify, and a fingerprint tells them apart."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

_SALT = b"agent-tasks key fingerprint"
_COST = 2**12
"""The scrypt cost: passwords cannot be tried by the billion from a fingerprint; about 10 ms a key."""


def keys_of(text: str) -> tuple[bytes, ...]:
    """Return the keys in AGENT_TASKS_SECRET_KEY, which are separated by commas, newest first."""
    return tuple(part.strip().encode() for part in text.split(",") if part.strip())


def mac(data: bytes, key: bytes) -> bytes:
    """Return the signature of `data` as URL-safe base64."""
    return base64.urlsafe_b64encode(hmac.digest(key, data, hashlib.sha256)).rstrip(b"=")


def is_signed(data: bytes, given: bytes, keys: Sequence[bytes]) -> bool:
    """Whether `given` is the signature of `data` by any of the keys."""
    return any(hmac.compare_digest(given, mac(data, key)) for key in keys)


def derived(keys: Sequence[bytes], label: bytes) -> tuple[bytes, ...]:
    """Keys for another use, one of each, in their order: none of them gives away the key that it is derived from."""
    return tuple(hmac.digest(key, label, hashlib.sha256) for key in keys)


def fingerprints(keys: Sequence[bytes]) -> list[str]:
    """Return a fingerprint of each key, in order: it tells keys apart without giving them away."""
    return [hashlib.scrypt(key, salt=_SALT, n=_COST, r=8, p=1, dklen=6).hex() for key in keys]
