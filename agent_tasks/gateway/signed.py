"""The signature of what comes to a hook, by Standard Webhooks (specification of 2026-08-17)."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from starlette.requests import Request

from agent_tasks.gateway.refusals import Refused
from agent_tasks.task.arguments import shown

TOLERANCE_SECONDS = 300
_VERSION = "v1,"
_ID, _TIME, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


def check_signature(request: Request, body: bytes, secrets: Sequence[bytes], now: datetime) -> str:
    """Return the `webhook-id` of a request that one of the secrets has signed, not long ago. Raises Refused (403)."""
    id, timestamp, signatures = (_only(request, name) for name in (_ID, _TIME, _SIGNATURE))
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        raise _refused(f"{_TIME} must be seconds since 1970, not {shown(timestamp)}.", _TIME)
    signed = b"%s.%s.%s" % (id.encode(), timestamp.encode(), body)
    good = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)) for secret in secrets]
    given = [each.removeprefix(_VERSION).encode() for each in signatures.split(" ") if each.startswith(_VERSION)]
    if not any(hmac.compare_digest(one, other) for one in good for other in given):
        raise _refused(
            f"No signature in {_SIGNATURE} is by a secret that AGENT_TASKS_HOOK_SECRETS has for this hook. Sign "
            f"`{_ID}.{_TIME}.body` as Standard Webhooks says, over the body as it is sent.",
            _SIGNATURE,
        )
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        raise _refused(
            f"{_TIME} is {timestamp}, and here it is {int(now.timestamp())}: more than {TOLERANCE_SECONDS} seconds "
            "apart. Sign again, and set the clock.",
            _TIME,
        )
    return id


def _only(request: Request, name: str) -> str:
    given = request.headers.getlist(name)
    if len(given) != 1 or not given[0] or not given[0].isascii():
        how = "more than once" if len(given) > 1 else "not at all, or not as text"
        raise _refused(f"This hook takes what is signed by Standard Webhooks, and {name} came {how}.", name)
    return given[0]


def _refused(detail: str, field: str) -> Refused:
    return Refused(403, "wrong_signature", "Not signed as it must be", detail, field)
