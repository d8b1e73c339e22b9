"""Loopback: requests of programs on this machine, which are trusted where authentication is off."""

import re
from collections.abc import Iterator
from ipaddress import ip_address

from starlette.requests import Request

from agent_tasks.gateway.refusals import Refused
from agent_tasks.task.arguments import shown

_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:/@\[\]]+))(?::\d+)?")


def is_loopback(host: str) -> bool:
    """Whether a name or an address is reached from this machine only, whatever a name server says."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_local(request: Request) -> None:
    """Raise Refused (403) for a request that a page of another site sends through a browser here, or another machine.

    Such a page calls us by a name of its own, which its name server points at 127.0.0.1: that name is then in `Host`.
    Or it calls us as we are called: then its own site is in `Origin`.
    """
    for header, value, host in _hosts(request):
        if not is_loopback(host):
            raise Refused(
                403,
                "not_local",
                "Not from this machine",
                "Authentication is off (AGENT_TASKS_GATEWAY_AUTH), so only programs on this machine are served, and "
                f"no pages of other sites: {header} is {shown(value)}. Ask http://127.0.0.1 or http://localhost, or "
                "switch authentication on.",
                header.lower(),
            )


def _hosts(request: Request) -> Iterator[tuple[str, str, str]]:
    """What names the two ends of a request: where it stands, as it is, and the host in it; "" where there is none."""
    if request.client is not None:
        yield "the client", request.client.host, request.client.host
    for value in request.headers.getlist("host") or [""]:
        yield "Host", value, _host_in(value)
    for value in request.headers.getlist("origin"):
        yield "Origin", value, _host_in(value.partition("://")[2])


def _host_in(authority: str) -> str:
    found = _AUTHORITY.fullmatch(authority)
    return (found[1] or found[2]) if found else ""
