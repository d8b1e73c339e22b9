"""Stage one: whose the token of a request is."""

from typing import Protocol

from agent_tasks.client.client import AgentTasks
from agent_tasks.client.keys import PREFIX
from agent_tasks.client.sessions import AGENTCORE, runtime_of
from agent_tasks.gateway.credentials import Credential, Unauthenticated
from agent_tasks.gateway.issuer import Issuer
from agent_tasks.gateway.known_keys import KnownKeys

CONSOLE = "console"
"""The door of people, whose tokens are sessions and nothing else."""
INVOKING = frozenset({"tasks:write", "tasks:read"})
"""The scopes that it takes to invoke a runtime: whom the platform lets in has them."""
_SEND = "Send `Authorization: Bearer <token>`"


class Verifying(Protocol):
    """What verifies tokens."""

    @property
    def client(self) -> AgentTasks: ...

    @property
    def keys(self) -> KnownKeys: ...

    @property
    def sessions(self) -> KnownKeys: ...

    @property
    def issuer(self) -> Issuer | None: ...


def authenticate(gate: Verifying, token: str | None, door: str = "http") -> Credential:
    """The credential of a bearer token. Raises Unauthenticated, and IssuerUnavailable.

    Through the console's door a token is a session. Whoever comes through AgentCore's was authenticated by the
    platform, and is whom the settings say.
    """
    if door == AGENTCORE:
        return Credential(runtime_of(gate.client.settings).identity, granted=INVOKING)
    if gate.client.settings.gateway_auth == "off":
        return Credential(identity=None)
    if door == CONSOLE:
        if token is None:
            raise Unauthenticated("Sign in with an API key.", token_given=False)
        key = gate.sessions.verify(token)
        return Credential(key.identity, key.id, key.expires_at)
    issuer = gate.issuer
    if token is None:
        kinds = "an API key" if issuer is None else "an API key or a token of the issuer"
        raise Unauthenticated(f"{_SEND} with {kinds}.", token_given=False)
    if token.startswith(PREFIX):
        key = gate.keys.verify(token)
        return Credential(key.identity, key.id, key.expires_at)
    if token.count(".") == 2:
        if issuer is None:
            raise Unauthenticated(f"This gateway takes no tokens of an issuer. {_SEND} with an API key.")
        return issuer.verify(token)
    raise Unauthenticated(f"This is neither an API key nor a signed JWT. {_SEND} with one of them.")
