"""The claims of a token whose signature is right, as a credential."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from agent_tasks.client.unauthenticated import Unauthenticated
from agent_tasks.gateway.credentials import Credential
from agent_tasks.settings import Settings
from agent_tasks.task.arguments import is_storable
from agent_tasks.task.identity import Identity

LONGEST = 256
"""Characters of a subject, a tenant, a scope or an actor."""
_MOST_SCOPES, _MOST_ACTORS = 100, 16


def credential_of(claims: dict[str, Any], settings: Settings) -> Credential:
    """Raises Unauthenticated that names the claim which is missing or cannot be read."""
    tenant = settings.oidc_tenant_claim
    return Credential(
        identity=Identity(
            subject=_text(claims, settings.oidc_subject_claim),
            tenant=_text(claims, tenant) if tenant else "",
            scopes=_scopes(claims.get(settings.oidc_scopes_claim), settings.oidc_scopes_claim),
            actors=tuple(_actors(claims.get("act"))),
        ),
        expires_at=_time(claims["exp"]),
    )


def _text(claims: dict[str, Any], name: str) -> str:
    if claims.get(name) in (None, ""):
        raise Unauthenticated(f"The token has no claim {name!r}. Have the issuer put it in.")
    return _checked(claims[name], name)


def _checked(value: Any, name: str) -> str:
    if type(value) is not str:
        raise Unauthenticated(f"The token's claim {name!r} must be text.")
    if not 0 < len(value) <= LONGEST:
        raise Unauthenticated(f"The token's claim {name!r} must have 1 to {LONGEST} characters, not {len(value):,}.")
    if not is_storable(value):
        raise Unauthenticated(f"The token's claim {name!r} must have no NUL character and no lone surrogate.")
    return value


def _scopes(value: Any, name: str) -> tuple[str, ...]:
    """Of a text with spaces (RFC 8693, 4.2) or a list; none where the claim is missing."""
    given: list[Any] = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else []
    if value is not None and not isinstance(value, str | list):
        raise Unauthenticated(f"The token's claim {name!r} must be text with spaces, or a list.")
    scopes = dict.fromkeys(_checked(scope, name) for scope in given if scope != "")
    if len(scopes) > _MOST_SCOPES:
        raise Unauthenticated(f"The token's claim {name!r} must have at most {_MOST_SCOPES} scopes.")
    return tuple(scopes)


def _actors(act: Any) -> Iterator[str]:
    """The subjects of the `act` claims within each other (RFC 8693, 4.1), the outermost first."""
    for _ in range(_MOST_ACTORS):
        if act is None:
            return
        if not isinstance(act, dict):
            raise Unauthenticated("The token's claim 'act' must be an object.")
        yield _checked(act.get("sub"), "act.sub")
        act = act.get("act")
    if act is not None:
        raise Unauthenticated(f"The token's claim 'act' must name at most {_MOST_ACTORS} actors.")


def _time(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise Unauthenticated("The token's claim 'exp' is no time.") from None
