"""Hosts and origins: under which names the door may be asked, and which pages of browsers may ask it."""

from starlette.requests import Request

from agent_tasks.gateway.loopback import check_local
from agent_tasks.gateway.refusals import Refused
from agent_tasks.settings import Settings
from agent_tasks.task.arguments import shown


def check_ends(request: Request, settings: Settings) -> None:
    """Raise Refused for a name that the gateway is not asked under (421), and for a page of another site (403).

    A page that has a name of its own point at this machine has that name in `Host` (DNS rebinding).
    """
    if settings.gateway_auth == "off":
        check_local(request)
        return
    for host in request.headers.getlist("host") or [""]:
        if settings.mcp_hosts and not _is_among(host, settings.mcp_hosts):
            raise Refused(
                421,
                "other_host",
                "Asked under another name",
                f"This gateway is not asked under the name {shown(host)}. Use one of those in AGENT_TASKS_MCP_HOSTS, "
                "or add it there.",
                "host",
            )
    for origin in request.headers.getlist("origin"):
        if not _is_among(origin, (*settings.mcp_origins, _origin_of(settings.public_url))):
            raise Refused(
                403,
                "other_origin",
                "A page of another site",
                f"Pages of {shown(origin)} may not ask this gateway. Add it to AGENT_TASKS_MCP_ORIGINS if they may.",
                "origin",
            )


def _is_among(value: str, allowed: tuple[str, ...]) -> bool:
    """Whether a value is one of those allowed, of which one that ends in `:*` is with any port, and without."""
    for each in allowed:
        before, _, port = each.rpartition(":")
        if value == each or (port == "*" and (value == before or _has_port(value, before))):
            return True
    return False


def _has_port(value: str, before: str) -> bool:
    return value.startswith(f"{before}:") and value[len(before) + 1 :].isdecimal()


def _origin_of(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
