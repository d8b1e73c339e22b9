"""The body of a request as it comes in: of the right kind, within its limit, and in time."""

import asyncio
import re

from starlette.requests import ClientDisconnect, Request

from agent_tasks.gateway.refusals import Refused
from agent_tasks.task.arguments import shown

_JSON = re.compile(r"application/(?:[a-z0-9!#$&^_.+-]+\+)?json", re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)"?', re.IGNORECASE)
_CLOSE = {"Connection": "close"}


def check_media_type(request: Request) -> None:
    """Raise Refused (415) for a body that is not said to be JSON in UTF-8, as it is."""
    types = request.headers.getlist("content-type")
    said = types[0] if len(types) == 1 else ""
    if not _JSON.fullmatch(said.partition(";")[0].strip()):
        found = f"its Content-Type is {shown(', '.join(types))}" if types else "it has no Content-Type"
        raise _unsupported(
            f"The body must be JSON, and {found}. Send it with Content-Type: application/json.",
            "content-type",
            {"Accept": "application/json"},
        )
    if any(charset.lower() not in ("utf-8", "utf8") for charset in _CHARSET.findall(said)):
        raise _unsupported(
            f"The body must be UTF-8, not as {shown(said)} says.", "content-type", {"Accept": "application/json"}
        )
    encodings = ",".join(request.headers.getlist("content-encoding")).lower()
    if any(encoding.strip() not in ("", "identity") for encoding in encodings.split(",")):
        raise _unsupported(
            f"The body must not be compressed, as Content-Encoding {shown(encodings)} says. Send it as it is.",
            "content-encoding",
            {"Accept-Encoding": "identity"},
        )


def _unsupported(detail: str, field: str, headers: dict[str, str]) -> Refused:
    return Refused(415, "unsupported_media_type", "The body is of another kind", detail, field, headers)


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """The body, of at most `limit` bytes, within `seconds`.

    Raises Refused: 413 for a larger one, before it is read where Content-Length says so; 408 for one that does not
    come in time; 400 where its length is not as announced, or the client went away.
    """
    announced = _announced(request)
    if announced is not None and announced > limit:
        raise _too_large(f"{announced:,} bytes", limit)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large("larger", limit)
    except TimeoutError:
        raise Refused(
            408,
            "request_timeout",
            "The body did not come in time",
            f"{len(body):,} bytes of the body came in {seconds:g} s. Send the request again, faster, or smaller.",
            headers=_CLOSE,
        ) from None
    except ClientDisconnect:
        raise _cut(
            f"The connection was closed after {len(body):,} bytes of the body. Send the request again."
        ) from None
    if announced is not None and announced != len(body):
        raise _cut(f"The body has {len(body):,} bytes, and Content-Length says {announced:,}. Send the true length.")
    return bytes(body)


def _announced(request: Request) -> int | None:
    """What Content-Length says; None for a body in chunks."""
    said = request.headers.get("content-length")
    if said is None:
        return None
    if not (said.isascii() and said.isdecimal() and len(said) <= 18):
        raise _cut(f"Content-Length must be a number of bytes, not {shown(said)}.")
    return int(said)


def _too_large(size: str, limit: int) -> Refused:
    return Refused(
        413,
        "body_too_large",
        "The body is too large",
        f"The body is {size}; the limit is {limit:,} bytes. Store what is large elsewhere (a bucket, a table) and pass "
        "its address, or raise AGENT_TASKS_GATEWAY_BODY_LIMIT.",
        headers=_CLOSE,
    )


def _cut(detail: str) -> Refused:
    return Refused(400, "body_cut_off", "The body is not as long as announced", detail, "content-length", _CLOSE)
