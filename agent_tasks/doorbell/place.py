"""Where bells go, as text without secrets that submitters and workers compare."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from agent_tasks.doorbell.lists import OURS, Lists

_LOOPBACK = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}
_NAMING = ("region", "queue_name_prefix")
"""Transport options of brokers that are no Redis by which a queue's name means another queue."""


def of_redis(client: Any, lists: Lists) -> str:
    """Return the place of a client of redis-py: server and database, and how the lists are named if not as usual."""
    pool = client.connection_pool
    terms = pool.connection_kwargs
    manager = getattr(pool, "sentinel_manager", None)
    database = terms.get("db") or 0
    if manager is not None:
        asked = [each.connection_pool.connection_kwargs for each in manager.sentinels]
        hosts = _hosts([(each.get("host"), each.get("port", 26379)) for each in asked])
        place = f"sentinel://{hosts}/{pool.service_name}/{database}"
    elif path := terms.get("path"):
        place = f"redis+socket://{path}/{database}"
    else:
        place = f"redis://{_hosts([(terms.get('host'), terms.get('port', 6379))])}/{database}"
    if lists == OURS:
        return place
    return f"{place} (global_keyprefix={lists.prefix!r}, sep={lists.sep!r}, priority_steps={list(lists.steps)})"


def of_connection(connection: Any) -> str:
    """Return the place of one of kombu's connections to a broker that is no Redis, or none that redis-py can be
    given. It connects to nothing."""
    kind = connection.get_transport_cls()
    named = [urlsplit(url) for url in connection.alt]
    hosts = [(url.hostname, url.port) for url in named] or [(connection.hostname, connection.port)]
    if "://" in (connection.hostname or ""):  # kombu leaves what follows `transport+` as it is, its password too
        url = urlsplit(connection.hostname)
        place = f"{kind.driver_type}+{url.scheme}://{_hosts([(url.hostname, url.port)])}{url.path}"
    else:
        place = f"{kind.driver_type}://{_hosts([(host, port or kind.default_port) for host, port in hosts])}"
    options = connection.transport_options
    said = ", ".join(f"{name}={options[name]!r}" for name in _NAMING if name in options)
    return f"{place}/{(connection.virtual_host or '').strip('/')}" + (f" ({said})" if said else "")


def _hosts(addresses: Sequence[tuple[Any, Any]]) -> str:
    named = {(_LOOPBACK.get(host or "localhost", host), port) for host, port in addresses}
    return ",".join(sorted(f"{host}:{port}" if port else str(host) for host, port in named))
