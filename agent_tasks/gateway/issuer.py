"""Issuer: who issues tokens (JWTs) that the gateway takes beside its own keys."""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from joserfc import jwt
from joserfc.errors import BadSignatureError, ClaimError, ExpiredTokenError, JoseError, MissingClaimError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from agent_tasks.client.unauthenticated import Unauthenticated
from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.claims import credential_of
from agent_tasks.gateway.credentials import Credential, IssuerUnavailable
from agent_tasks.gateway.jwks import fetch_keys
from agent_tasks.settings import Settings
from agent_tasks.task.arguments import shown

log = logging.getLogger(__name__)
LEEWAY_SECONDS = 30
"""By how much the issuer's clock and ours may differ."""
AGAIN_SECONDS = 60.0
"""Keys are fetched again for a token of an unknown one, but not more often."""
STALE_SECONDS = 3600.0
"""Keys this old are fetched again in any case: the issuer may have withdrawn one."""
FIRST_SECONDS = 5.0
"""While there are no keys at all, so long after a fetch that failed the next one is made."""
PATIENCE_SECONDS = 1.0
"""How long a token of an unknown key waits for a fetch that another has begun."""
LONGEST_TOKEN = 16 * 1024


@dataclass(frozen=True)
class _Known:
    """What is known of the issuer since a fetch."""

    keys: KeySet | None = None
    at: float = float("-inf")
    failure: str = ""


class Issuer:
    """The OIDC issuer of the settings. Thread-safe; nothing is fetched before the first token."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = monotonic) -> None:
        """Raises InvalidInput where a setting is missing."""
        for name in ("oidc_issuer", "oidc_audience"):
            if not getattr(settings, name):
                variable = f"AGENT_TASKS_{name.upper()}"
                raise InvalidInput(
                    f"{variable} is not set. Set both AGENT_TASKS_OIDC_ISSUER and AGENT_TASKS_OIDC_AUDIENCE: a token "
                    "is taken only where it was issued for this gateway.",
                    field=variable,
                )
        self._settings = settings
        self._clock = clock
        self._registry = JWSRegistry(algorithms=list(settings.oidc_algorithms), strict_check_header=False)
        self._registry.max_header_length = LONGEST_TOKEN  # some issuers send their certificates along
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.oidc_issuer},
            aud={"essential": True, "value": settings.oidc_audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._known = _Known()
        self._fetching = threading.Lock()

    def verify(self, token: str) -> Credential:
        """Whom a token stands for.

        Raises Unauthenticated, which says what is wrong with it, and IssuerUnavailable where no keys could be fetched.
        """
        kid = _kid_of(token)
        try:
            decoded = jwt.decode(token, self._keys_for(kid), registry=self._registry)
            self._claims.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated(self._why(error, kid)) from None
        return credential_of(decoded.claims, self._settings)

    def _keys_for(self, kid: str | None) -> KeySet:
        """The keys that are known, fetched again where that may help."""
        known = self._known
        if known.keys is None:
            return self._first_keys(known)
        age = self._clock() - known.at
        if age >= AGAIN_SECONDS and kid is not None and not _has(known.keys, kid):
            known = self._fetch_again(known, PATIENCE_SECONDS)
        elif age >= (AGAIN_SECONDS if known.failure else STALE_SECONDS):
            known = self._fetch_again(known, 0.0)
        assert known.keys is not None  # what was known is kept
        return known.keys

    def _first_keys(self, seen: _Known) -> KeySet:
        if self._clock() - seen.at >= FIRST_SECONDS:
            with self._fetching:
                if self._known is seen:
                    self._fetch()
        if self._known.keys is None:
            raise IssuerUnavailable(self._known.failure, retry_after=FIRST_SECONDS)
        return self._known.keys

    def _fetch_again(self, seen: _Known, patience: float) -> _Known:
        if self._fetching.acquire(timeout=patience):
            try:
                if self._known is seen:
                    self._fetch()
            finally:
                self._fetching.release()
        return self._known

    def _fetch(self) -> None:
        """One attempt; where it fails, the keys that there are go on."""
        begun = self._clock()
        try:
            keys = fetch_keys(self._settings.oidc_issuer, self._settings.oidc_jwks_url)
            self._known = _Known(keys, begun)
        except IssuerUnavailable as error:
            log.warning("%s", error)
            self._known = _Known(self._known.keys, self._clock(), error.message)

    def _why(self, error: Exception, kid: str | None) -> str:
        keys = self._known.keys
        match error:
            case ExpiredTokenError():
                return "The token has expired. Get a new one from the issuer."
            case MissingClaimError():
                return f"The token has no claim {error.claim!r}. Have the issuer put it in."
            case ClaimError(claim="iss"):
                return f"The token is of another issuer than {self._settings.oidc_issuer!r}."
            case ClaimError(claim="aud"):
                return (
                    f"The token is not for {self._settings.oidc_audience!r}. Ask the issuer for one with this audience."
                )
            case ClaimError():
                return f"The token's claim {error.claim!r} is not valid: {error.description.rstrip('.')}."
            case BadSignatureError():
                return "The token's signature is not the issuer's."
            case _ if kid is None and keys is not None and len(keys.keys) > 1:
                return "The token does not say which of the issuer's keys has signed it: its header has no 'kid'."
            case _ if kid is not None and keys is not None and not _has(keys, kid):
                return f"The token is signed with a key that the issuer does not publish: {shown(kid)}."
            case JoseError():
                return f"The token cannot be verified: {(error.description or error.error).rstrip('.')}."
            case _:
                return "The token cannot be read: it is no signed JWT."


def _has(keys: KeySet, kid: str) -> bool:
    return any(key.kid == kid for key in keys.keys)


def _kid_of(token: str) -> str | None:
    """The id of the key that a token says it is signed with. Raises Unauthenticated for what is no JWT."""
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated(f"The token has more than {LONGEST_TOKEN:,} characters.")
    try:
        header: Any = json.loads(urlsafe_b64decode(token.partition(".")[0].encode("ascii")))
    except (ValueError, RecursionError):
        header = None
    kid = header.get("kid") if isinstance(header, dict) else None
    if not isinstance(header, dict) or not isinstance(kid, str | None):
        raise Unauthenticated("The token cannot be read: its header is none of a signed JWT.")
    return kid
