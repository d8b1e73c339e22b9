"""Stage two: whom a credential stands for, in which tenant, and whose tasks that may see."""

from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.credentials import Credential

ADMIN = "admin"
"""The one scope that crosses tenants."""


def identify(credential: Credential) -> Caller:
    """The caller behind a credential."""
    identity = credential.identity
    viewer = None if identity is None or ADMIN in identity.scopes else identity
    return Caller(identity, viewer, credential.key_id, credential.granted)
