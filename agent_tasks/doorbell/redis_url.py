"""The URL of Redis: its allowed forms, and what our own client and Celery's make of it."""

from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import redis
from redis.exceptions import NoPermissionError
from redis.sentinel import Sentinel

FORMS = (
    "redis://host:6379/0, rediss:// with TLS, unix:///path/redis.sock?db=0, or "
    "sentinel://one:26379,two:26379/0?master_name=NAME"
)
_TCP = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
_SOCKET = ("unix", "redis+socket", "valkey+socket")
_SENTINEL_PORT = 26379
SENTINEL_BOUNDS = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}


class RedisUrl:
    """A parsed URL. Raises ValueError, saying what is wrong, for any URL that cannot be of a usable Redis."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url.replace(";sentinel://", ","))  # Celery writes several this way
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        database = options.get("db") or options.get("virtual_host") or ""
        self._sentinels: list[tuple[str, int]] = []
        self._master = options.get("master_name", "")
        self._is_socket = parts.scheme in _SOCKET
        if self._is_socket:
            if not parts.path.strip("/"):
                raise ValueError(f"it has no path: use {FORMS}")
        elif parts.scheme in _TCP or parts.scheme == "sentinel":
            database = database or parts.path.strip("/")
            if parts.scheme in _TCP and not _has_port(parts):
                raise ValueError(f"its port must be a number, as in {FORMS}")
        else:
            raise ValueError(f"{parts.scheme or 'this'}:// is no URL of Redis or Valkey: use {FORMS}")
        if parts.scheme == "sentinel":
            self._sentinels = list(map(_address, parts.netloc.rpartition("@")[2].split(",")))
            if not self._master:
                raise ValueError("?master_name= is missing: the name under which the sentinels know the master")
        if not (database or "0").isdecimal():
            raise ValueError(f"its database must be a number, as in {FORMS}; in a password write %2F for a /")
        self._checks = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")  # as Celery writes it
        if self._checks not in ("none", "optional", "required"):
            raise ValueError("its ssl_cert_reqs must be required, optional or none")
        self._parts, self._number = parts, int(database or 0)

    def client(self, **terms: Any) -> "redis.Redis":
        """Return a client; `terms` are arguments of `redis.Redis`."""
        if not (self._sentinels or self._is_socket):
            return redis.Redis.from_url(self._tcp, **terms)  # pyright: ignore[reportUnknownMemberType]
        terms |= {
            "db": self._number,
            "username": _decoded(self._parts.username),
            "password": _decoded(self._parts.password),
        }
        if self._is_socket:
            for name in ("socket_connect_timeout", "socket_keepalive"):
                terms.pop(name, None)
            return redis.Redis(unix_socket_path=unquote(self._parts.path), **terms)
        sentinel: Any = Sentinel(self._sentinels, sentinel_kwargs=SENTINEL_BOUNDS)
        return sentinel.master_for(self._master, **terms)

    @property
    def broker(self) -> str:
        """The URL for Celery."""
        if not (self._sentinels or self._is_socket):
            return self._tcp
        login = self._parts.netloc.rpartition("@")[0]
        at = f"{login}@" if login else ""
        if self._is_socket:
            return f"redis+socket://{at}{self._parts.path}?virtual_host={self._number}"
        return ";".join(f"sentinel://{at}{host}:{port}/{self._number}" for host, port in self._sentinels)

    @property
    def transport_options(self) -> dict[str, Any]:
        return {"master_name": self._master, "sentinel_kwargs": SENTINEL_BOUNDS} if self._sentinels else {}

    @property
    def _tcp(self) -> str:
        """Return the URL with the database in the path, where both clients look for it."""
        parts = [part for part in self._parts.query.split("&") if not part.startswith(("db=", "virtual_host="))]
        scheme = _TCP[self._parts.scheme]
        if scheme == "rediss":
            parts = [part for part in parts if not part.startswith("ssl_cert_reqs=")]
            parts.append(f"ssl_cert_reqs={self._checks}")  # without it kombu does not check the certificate
        query = "&".join(filter(None, parts))
        return SplitResult(scheme, self._parts.netloc, f"/{self._number}", query, "").geturl()


def is_redis(url: str) -> bool:
    """Whether a URL is meant to be of a Redis or Valkey, by its scheme."""
    return urlsplit(url).scheme in (*_TCP, *_SOCKET, "sentinel")


def is_full(error: Exception) -> bool:
    """Whether Redis refused to write because it has no memory left."""
    return isinstance(error, redis.ResponseError) and "command not allowed when used memory" in str(error)


def is_refused(error: object) -> bool:
    """Whether Redis refuses it for good, as it does each time: of its user, or of what is under that key."""
    return isinstance(error, NoPermissionError) or (
        isinstance(error, redis.ResponseError) and str(error).startswith("WRONGTYPE")
    )


def remedy(error: Exception, url: str = "AGENT_TASKS_REDIS_URL", *, of_redis: bool = True) -> str | None:
    """Return what to do about a certificate that was not trusted, or is missing, and about a right that a user of Redis
    lacks; None for any other error.

    `url` says where the server's URL stands; it is a Redis unless `of_redis` is false.
    """
    said = str(error)
    if isinstance(error, NoPermissionError):
        return (
            "its user needs rights on the keys of its queues, and for the status on the keys and channels "
            "agent-tasks:*, here or on a Redis of its own in AGENT_TASKS_REDIS_URL"
        )
    if "certificate required" in said.lower().replace("_", " "):
        if of_redis:
            return f"name yours in {url}: rediss://host/0?ssl_certfile=/path/cert.pem&ssl_keyfile=/path/key.pem"
        return "name yours in broker_use_ssl of an app that AGENT_TASKS_APP names"
    if "CERTIFICATE_VERIFY_FAILED" not in said:
        return None
    if "mismatch" in said:
        return f"name the host in {url} as its certificate does"
    if of_redis:
        return f"if its CA is your own, name it in {url}: rediss://host/0?ssl_ca_certs=/path/ca.pem"
    return "if its CA is your own, name it in broker_use_ssl of an app that AGENT_TASKS_APP names, or in SSL_CERT_FILE"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", str(_SENTINEL_PORT))
    if not host or not port.isdecimal():
        raise ValueError(f"it names a sentinel without an address: use {FORMS}")
    return host, int(port)


def _has_port(parts: SplitResult) -> bool:
    """Whether its port is a number, or left out."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)
