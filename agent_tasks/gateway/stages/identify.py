"""Stage two: whom a credential stands for, in which tenant, and whose tasks that may see."""

from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.credentials import Credential
from agent_tasks.store.access import viewer_of


def identify(credential: Credential) -> Caller:
    """The caller behind a credential."""
    identity = credential.identity
    return Caller(identity, viewer_of(identity), credential.key_id, credential.granted)
