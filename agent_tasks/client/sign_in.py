"""Sessions of people: an API key, once shown, becomes a session that ends by itself and with the key."""

import base64
import json
import secrets

from agent_tasks.client import keys
from agent_tasks.client.keys import ApiKey
from agent_tasks.client.unauthenticated import Unauthenticated
from agent_tasks.deployment import Deployment
from agent_tasks.store.queries import console
from agent_tasks.task.signing import is_signed, mac
from agent_tasks.transitions.sign_out import end_session

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
    key_id, until, id = _read(deployment, session)
    with deployment.database.connection() as connection:
        row = console.session(connection, id)
    if row["now"].timestamp() >= until:
        raise Unauthenticated(f"The session is over: it lasts {LASTS_SECONDS // 3600} hours. {_AGAIN}")
    if row["ended"]:
        raise Unauthenticated(f"This session was ended by signing out. {_AGAIN}")
    return keys.find_valid(deployment, key_id)


def end(deployment: Deployment, session: str) -> None:
    """End a session, wherever it is used: whoever has a copy of it is not known by it any more.

    Raises Unauthenticated for what is none.
    """
    _, until, id = _read(deployment, session)
    with deployment.database.connection() as connection:
        end_session(connection, id, until)


def _read(deployment: Deployment, session: str) -> tuple[str, int, str]:
    """Return the id of a session's key, when it is over, and its own id. Raises Unauthenticated for what is none."""
    signed, _, signature = session.rpartition(".")
    if len(session) > _LONGEST or not session.isascii() or not signed.startswith(f"{_VERSION}."):
        raise Unauthenticated(f"This is no session. {_AGAIN}")
    if not is_signed(signed.encode(), signature.encode(), deployment.session_keys):
        raise Unauthenticated(f"This session is not one of this deployment's. {_AGAIN}")
    payload = signed.partition(".")[2]
    key_id, until, id = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return key_id, until, id


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
