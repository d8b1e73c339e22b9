"""Credential: whom a token stands for, and until when."""

from dataclasses import dataclass
from datetime import datetime

from agent_tasks.client.unauthenticated import Unauthenticated
from agent_tasks.errors import UpstreamUnavailable
from agent_tasks.task.identity import Identity

__all__ = ["Credential", "IssuerUnavailable", "Unauthenticated"]


@dataclass(frozen=True)
class Credential:
    """What a valid token says."""

    identity: Identity | None
    """None: a trusted program, as which everybody acts where authentication is off."""
    key_id: str | None = None
    """Of the API key, where it is one."""
    expires_at: datetime | None = None
    """None: it does not end by itself."""
    granted: frozenset[str] = frozenset()
    """Scopes for this request, besides those of the identity, which travel with its tasks."""


class IssuerUnavailable(UpstreamUnavailable):
    """The issuer's keys could not be fetched, so that no token of its can be judged."""
