"""Sessions of people: an API key, once shown, becomes a session that ends by itself and with the key."""

import base64
import json
import secrets
from typing import Any

from agent_tasks.client import keys
from agent_tasks.client.keys import ApiKey
from agent_tasks.client.unauthenticated import Unauthenticated
from agent_tasks.deployment import Deployment
from agent_tasks.store.queries import console
from agent_tasks.task.signing import is_signed, mac

LASTS_SECONDS = 12 * 60 * 60
"""How long a session lasts at most."""
_VERSION = "s1"
_LONGEST = 1024
_AGAIN = "Sign in again."


def begin(deployment: Deployment, key: str) -> tuple[str, ApiKey]:
    """Return the text of a new session, a secret, and the key that it stands for. Raises Unauthenticated."""
    known = keys.verify(deployment, key)
    parts = [known.id, int(_now(deployment)) + LASTS_SECONDS, secrets.token_hex(8)]
    payload = base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()
    signed = f"{_VERSION}.{payload}"
    return f"{signed}.{mac(signed.encode(), deployment.session_keys[0]).decode()}", known


def key_of(deployment: Deployment, session: str) -> ApiKey:
    """Return the key that a session stands for, as it is now.

    Raises Unauthenticated where the session was altered or is over, or its key has expired or was revoked.
    """
    signed, _, signature = session.rpartition(".")
    if len(session) > _LONGEST or not session.isascii() or not signed.startswith(f"{_VERSION}."):
        raise Unauthenticated(f"This is no session. {_AGAIN}")
    if not is_signed(signed.encode(), signature.encode(), deployment.session_keys):
        raise Unauthenticated(f"This session is not one of this deployment's. {_AGAIN}")
    payload = signed.partition(".")[2]
    parts: list[Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    key_id, until, _ = parts
    if _now(deployment) >= until:
        raise Unauthenticated(f"The session is over: it lasts {LASTS_SECONDS // 3600} hours. {_AGAIN}")
    return keys.find_valid(deployment, key_id)


def _now(deployment: Deployment) -> float:
    """Return the seconds since 1970, by the database's clock."""
    with deployment.database.connection() as connection:
        return console.now(connection)["now"].timestamp()


def form_token(deployment: Deployment, session: str) -> str:
    """Return what a form of this session must bring along, so that no other site's form is taken for ours."""
    return mac(f"form {session}".encode(), deployment.session_keys[0]).decode()


def is_form_token(deployment: Deployment, session: str, given: str) -> bool:
    """Whether a form was made for this session."""
    return is_signed(f"form {session}".encode(), given.encode("utf-8", "surrogatepass"), deployment.session_keys)
