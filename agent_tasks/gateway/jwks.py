"""The keys that an OIDC issuer publishes: fetched with bounds, and imported one by one."""

import json
import logging
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from agent_tasks.gateway.credentials import IssuerUnavailable
from agent_tasks.task.arguments import shown

log = logging.getLogger(__name__)
FETCH_SECONDS = 10.0
"""For one document, from the connection to the last byte."""
LARGEST_DOCUMENT = 1024 * 1024
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
"""Not compressed: what is small on the way may be large here."""
_RETRY_SECONDS = 5.0
_SYMMETRIC = "oct"


def fetch_keys(issuer: str, jwks_url: str) -> KeySet:
    """The keys at `jwks_url`, or where the issuer's discovery document says. Raises IssuerUnavailable."""
    with httpx2.Client(timeout=FETCH_SECONDS, follow_redirects=False) as http:
        return _key_set(_fetch(http, jwks_url or _discover(http, issuer)), jwks_url or issuer)


def _discover(http: httpx2.Client, issuer: str) -> str:
    """The address of the keys, by OpenID Connect Discovery 1.0, section 4."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    document = _fetch(http, url)
    if document.get("issuer") != issuer:
        raise _unavailable(
            f"{url} is of the issuer {shown(document.get('issuer'))}, not of {issuer!r}. "
            "Set AGENT_TASKS_OIDC_ISSUER to exactly what the issuer calls itself."
        )
    found = document.get("jwks_uri")
    schemes = ("https",) if issuer.startswith("https:") else ("https", "http")
    if not isinstance(found, str) or urlsplit(found).scheme not in schemes:
        raise _unavailable(f"{url} names no usable jwks_uri: {shown(found)}. Set AGENT_TASKS_OIDC_JWKS_URL.")
    return found


def _fetch(http: httpx2.Client, url: str) -> dict[str, Any]:
    until = monotonic() + FETCH_SECONDS
    body = bytearray()
    try:
        with http.stream("GET", url, headers=_HEADERS) as response:
            if response.is_redirect:
                raise _unavailable(f"{url} redirects, which is not followed. Set the address that it leads to.")
            if response.status_code != 200:
                raise _unavailable(f"{url} answers with {response.status_code}.")
            for part in response.iter_raw():
                body += part
                if len(body) > LARGEST_DOCUMENT or monotonic() > until:
                    raise _unavailable(f"{url} sends more than {LARGEST_DOCUMENT:,} bytes, or for too long.")
        document = json.loads(body)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _unavailable(f"{url} cannot be fetched: {str(error) or type(error).__name__}.") from error
    except (ValueError, RecursionError):
        raise _unavailable(f"{url} is not JSON.") from None
    if not isinstance(document, dict):
        raise _unavailable(f"{url} is no JSON object.")
    return document  # pyright: ignore[reportUnknownVariableType]


def _key_set(document: dict[str, Any], url: str) -> KeySet:
    """The keys that can verify; one that cannot be read takes none of the others along."""
    given = document.get("keys")
    entries: list[Any] = given if isinstance(given, list) else []
    found = [key for entry in entries if (key := _imported(entry)) is not None]
    if not found:
        raise _unavailable(f"{url} has no key that signatures could be verified with.")
    return KeySet(found)


def _imported(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or entry.get("kty") == _SYMMETRIC or entry.get("use") == "enc":
        return None
    try:
        return JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        log.warning("A key of the issuer is left out: %s", error)
        return None


def _unavailable(message: str) -> IssuerUnavailable:
    return IssuerUnavailable(f"No keys of the issuer: {message}", retry_after=_RETRY_SECONDS)
