"""URLs that webhooks may be sent to, as far as the text tells: names are looked up when something is sent."""

import ipaddress
import re
import socket
import unicodedata
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import check_text, refused
from agent_tasks.task.public_address import Address, Allowed

LONGEST_URL = 2_048
# What ends in a number would be an address.
_HOST = re.compile(r"([a-z0-9_-]+\.)*(?!([0-9]+|0x[0-9a-f]*)\.?$)[a-z0-9_-]+\.?")
# As a reader would take it who is less strict than urlsplit, so that no password is shown with what else is wrong.
_WITH_USER = re.compile(r"[^/\\?#@]*([/\\]+[^/?#@]*)?@")
_SKIPPED = str.maketrans("", "", "\t\r\n")


def check_target_url(url: Any, field: str, allowed: Sequence[str] = ()) -> str:
    """Return `url` if something may be sent to it. `allowed`: hosts, addresses and networks that need not be public.

    Raises InvalidInput that says what is wrong with it.
    """
    if type(url) is str and _WITH_USER.match(url[:LONGEST_URL].translate(_SKIPPED)):
        raise InvalidInput(
            f"{field} must have no user or password in it. What is sent is signed: verify that.",
            field=field,
        )
    check_text(url, field, LONGEST_URL, printable=True)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise refused(f"{field} must be a URL with a port from 1 to 65535, if any", url, field) from None
    if parts.scheme not in ("http", "https") or not host or any(map(str.isspace, url)):
        raise refused(f"{field} must be a URL like https://host/path", url, field)
    if port == 0:
        raise refused(f"{field} must have a port from 1 to 65535, if any", url, field)
    address = _literal(host)
    if address is None and ("[" in parts.netloc or not _is_name(host)):
        raise refused(f"{field} must have the name or the address of a host", url, field)
    if address is not None and not Allowed(allowed).lets(host, str(address)):
        raise InvalidInput(
            f"{field} must lead to the public internet, and {address} does not. For development, allow the address by "
            "AGENT_TASKS_WEBHOOK_ALLOW.",
            field=field,
        )
    return url


def _literal(host: str) -> Address | None:
    """The address that a host is written as, in any of the forms that a resolver takes; None for a name."""
    host = unicodedata.normalize("NFKC", host).replace("\u3002", ".").rstrip(".")
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1, 0x7f.1, 2130706433
    except (OSError, UnicodeError, ValueError):
        return None


def _is_name(host: str) -> bool:
    try:
        return _HOST.fullmatch(host.encode("idna").decode()) is not None
    except UnicodeError:
        return False
