"""API keys that were verified a moment ago, and need not be looked up for each request."""

import hashlib
import threading
from collections.abc import Callable
from time import monotonic

from agent_tasks.client.keys import ApiKey

FRESH_SECONDS = 1.0
"""How long a key is taken for what it was: one that is revoked is refused by every gateway after that time."""
_MOST = 10_000


class KnownKeys:
    """What each token was verified to be. Thread-safe."""

    def __init__(self, verify: Callable[[str], ApiKey], clock: Callable[[], float] = monotonic) -> None:
        """`verify` raises Unauthenticated for a token that is no valid key, which is never remembered."""
        self._verify = verify
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[float, ApiKey]] = {}
        """By the digest of the token, which itself is kept nowhere: until when, and what it is."""

    def verify(self, token: str) -> ApiKey:
        """Return the key to which a token belongs. Raises Unauthenticated."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        until, key = self._known.get(digest, (0.0, None))
        if key is not None and self._clock() < until:
            return key
        since = self._clock()
        key = self._verify(token)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[digest] = since + FRESH_SECONDS, key
        return key
