"""The fast path: whether bells may be written to an app's broker as raw Redis lists, how, and if not, why."""

import ssl
from inspect import signature
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from kombu.exceptions import SerializerNotInstalled
from kombu.serialization import prepare_accept_content
from kombu.transport import redis as kombu_redis
from redis.sentinel import Sentinel

from agent_tasks.doorbell import transport as ours
from agent_tasks.doorbell.lists import OURS, Lists
from agent_tasks.doorbell.redis_url import SENTINEL_BOUNDS
from agent_tasks.errors import InvalidInput

HONOURED = frozenset({"global_keyprefix", "sep", "priority_steps"})
"""Transport options that say how lists are named."""
_CONNECTING = frozenset({"master_name", "min_other_sentinels", "sentinel_kwargs"})
INDIFFERENT = frozenset(
    {
        *("ack_emulation", "unacked_key", "unacked_index_key", "unacked_mutex_key", "unacked_mutex_expire"),
        *("visibility_timeout", "unacked_restore_limit", "unacked_restore_interval", "unacked_restore_throttle"),
        *("fanout_prefix", "fanout_patterns", "sentinel_fanout_compat", "queue_order_strategy", "polling_interval"),
        *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options"),
        *("health_check_interval", "reauth_check_interval", "retry_on_timeout", "max_connections", "client_name"),
        *("max_retries", "interval_start", "interval_step", "interval_max", "connect_retries_timeout"),
        *("body_encoding", "deadletter_queue"),
    }
)
"""Transport options that say how messages are taken, or how long somebody waits: nothing about one that is sent."""
_CHECKS = {None: ssl.CERT_NONE, "none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_TRANSPORTS = (
    (kombu_redis.Transport, kombu_redis.Channel),
    (kombu_redis.SentinelTransport, kombu_redis.SentinelChannel),
    (ours.Transport, ours.Transport.Channel),
    (ours.SentinelTransport, ours.SentinelTransport.Channel),
)


def refusal(app: Any) -> str | None:
    """Return why the fast path cannot serve an app's broker; None if it can. It connects to nothing."""
    connection = app.connection_for_write()
    kind = connection.get_transport_cls()
    if (kind, getattr(kind, "Channel", None)) not in _TRANSPORTS:
        return f"the broker's transport is {kind.__module__}.{kind.__name__}"
    if not takes_json(app):
        return "the app's accept_content is without json"
    options = connection.transport_options
    if strange := sorted(options.keys() - HONOURED - _CONNECTING - INDIFFERENT):
        return f"the transport option {strange[0]} is not known to the fast path"
    if getattr(connection, "credential_provider", None) is not None or "credential_provider" in connection.hostname:
        return "the broker's credentials come from a provider"
    is_sentinel = issubclass(kind, kombu_redis.SentinelTransport)
    if is_sentinel and not options.get("master_name"):
        return "the transport option master_name is missing"
    if len(connection.alt) > 1 and not is_sentinel:
        return "there are several brokers"
    try:
        lists_of(connection)
        client_of(connection).close()
    except (TypeError, ValueError) as error:
        return f"the broker's options cannot be read: {error}"
    return None


def takes_json(app: Any) -> bool:
    """Whether the app's workers take JSON. Raises InvalidInput for content that this process cannot make."""
    try:
        accepted = prepare_accept_content(app.conf.accept_content)
    except SerializerNotInstalled as error:
        raise InvalidInput(
            f"accept_content of the app {app.main} names a serializer that is not registered in this process: {error}. "
            "Register it where the app is made (for 'auth': app.setup_security())",
            field="accept_content",
        ) from error
    return accepted is None or "application/json" in accepted


def serializer_of(app: Any) -> str:
    """Return the serializer of our messages without arguments, as the app's workers take them; raises as above."""
    return "json" if takes_json(app) else app.conf.task_serializer


def lists_of(connection: Any) -> Lists:
    """Return how the lists of an app's broker are named. Raises ValueError for options that name none."""
    options = connection.transport_options
    steps = tuple(int(step) for step in options.get("priority_steps", OURS.steps))
    if not steps or list(steps) != sorted(set(steps)):
        raise ValueError(f"priority_steps must go up, and is {steps}")
    return Lists(str(options.get("global_keyprefix", OURS.prefix)), str(options.get("sep", OURS.sep)), steps)


def client_of(connection: Any, **bounds: Any) -> "redis.Redis":
    """Return a client of our own for the Redis of one of kombu's connections; `bounds` are arguments of redis.Redis."""
    options = connection.transport_options
    terms: dict[str, Any] = {**bounds, "username": connection.userid, "password": connection.password}
    if isinstance(connection.ssl, dict):
        terms |= {"ssl": True, **connection.ssl}
    if "://" in connection.hostname:
        parts = urlsplit(connection.hostname)
        query = dict(parse_qsl(parts.query))
        for name in ("socket_connect_timeout", "socket_keepalive", "ssl"):
            terms.pop(name, None)
        terms |= {name: unquote(text) for name in ("username", "password") if (text := getattr(parts, name))}
        database = query.get("virtual_host", connection.virtual_host)
        return redis.Redis(unix_socket_path=unquote(parts.path), db=_database(database), **terms)
    terms["db"] = _database(connection.virtual_host)
    if not issubclass(connection.get_transport_cls(), kombu_redis.SentinelTransport):
        return redis.Redis(host=connection.hostname, port=connection.port or 6379, **terms)
    alone = f"sentinel://{connection.hostname}:{connection.port or 26379}"
    named = [urlsplit(url) for url in connection.alt or [alone]]
    addresses = [(url.hostname or "127.0.0.1", url.port or 26379) for url in named if url.scheme == "sentinel"]
    asked = {**SENTINEL_BOUNDS, **(options.get("sentinel_kwargs") or {})}
    sentinels: Any = Sentinel(addresses, options.get("min_other_sentinels", 0), sentinel_kwargs=asked)
    return sentinels.master_for(options["master_name"], **terms)


def same_redis(one: "redis.Redis", other: "redis.Redis") -> bool:
    """Whether both clients see the same keys, as the same user, and trust its server on the same terms."""
    return _place(one) == _place(other)


def _place(client: "redis.Redis") -> tuple[Any, ...]:
    pool: Any = client.connection_pool
    kwargs = pool.connection_kwargs
    manager = getattr(pool, "sentinel_manager", None)
    sentinels = [_place(each)[:2] for each in manager.sentinels] if manager is not None else []
    names = ("host", "port", "path", "db", "username", "password")
    return (*(kwargs.get(name) for name in names), getattr(pool, "service_name", None), sorted(sentinels), _tls(pool))


def _tls(pool: Any) -> dict[str, Any] | None:
    """Return how a pool's connections are secured, with the defaults of what it does not say; None if they are not."""
    if not issubclass(pool.connection_class, redis.SSLConnection):
        return None
    terms = {
        name: pool.connection_kwargs.get(name, parameter.default)
        for name, parameter in signature(redis.SSLConnection.__init__).parameters.items()
        if name.startswith("ssl_")
    }
    return terms | {"ssl_cert_reqs": _CHECKS.get(terms["ssl_cert_reqs"], terms["ssl_cert_reqs"])}


def _database(virtual_host: Any) -> int:
    return int(str(virtual_host or 0).strip("/") or 0)
