"""Cursors: places in a list as text, with a mark by which those from elsewhere are told apart."""

import base64
import binascii
import hashlib
from datetime import UTC, datetime, timedelta

from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import shown

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def cursor(kind: str, place: bytes) -> str:
    """Write a place in a list of this kind as text."""
    return base64.urlsafe_b64encode(place + _mark(kind, place)).decode()


def place_of(kind: str, given: str, size: int, field: str = "after") -> bytes:
    """Return the place, of `size` bytes, that a cursor stands for. Raises InvalidInput for one from elsewhere."""
    try:
        found = base64.b64decode(given.encode("ascii"), b"-_", validate=True)
        if len(found) > size and found[size:] == _mark(kind, found[:size]):
            return found[:size]
    except (AttributeError, UnicodeEncodeError, binascii.Error):
        pass  # no base64 at all: refused below, as one without our mark
    raise InvalidInput(
        f"{field}={shown(given)} is no cursor of a {kind} here: give the `next` of the page before, as it is, or leave "
        "it out for the first page.",
        field=field,
    )


def microseconds_of(at: datetime) -> int:
    """Return a time as it is packed into a place: exactly, as Postgres has it."""
    return (at - _EPOCH) // _MICROSECOND


def time_of(microseconds: int) -> datetime:
    """Return the time that was packed into a place; the last one there is for a number that is beyond."""
    return _EPOCH + min(microseconds, _LAST) * _MICROSECOND


def _mark(kind: str, place: bytes) -> bytes:
    """Of a length with which the text needs no padding, which would have to be escaped in a URL."""
    return hashlib.sha256(f"agent-tasks {kind}".encode() + place).digest()[: 3 - len(place) % 3]
