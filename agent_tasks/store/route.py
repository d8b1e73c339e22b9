"""The way to Postgres: the URL's hosts, of which the one that answered last is asked first."""

import json
import threading
from typing import Any, Self, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from agent_tasks.store.numbered import NumberedCursor

C = TypeVar("C", bound="psycopg.Connection[Any]")
CONNECT_SECONDS = 4
_SILENT_SECONDS = 10
_HOST = ("host", "hostaddr", "port")
_DEFAULTS: dict[str, Any] = {
    "application_name": "agent-tasks",
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": _SILENT_SECONDS * 1000,
    "client_encoding": "utf-8",
}
"""Defaults of a connection, which the URL may override."""


def libpq_url(url: str) -> str:
    """`url` as libpq reads it; SQLAlchemy's form with a driver (postgresql+psycopg://…) is accepted, too."""
    return f"postgresql://{url.partition('://')[2]}"


class Route:
    """The connection parameters of a URL. With several hosts only the primary will do, whichever it is now."""

    def __init__(self, url: str) -> None:
        """Read the URL. Raises psycopg.Error for what is no URL of Postgres."""
        parameters = {**_DEFAULTS, **conninfo_to_dict(libpq_url(url))}
        lists = {name: str(parameters.pop(name)).split(",") for name in _HOST if parameters.get(name)}
        count = max(map(len, lists.values()), default=0)
        if any(len(values) not in (1, count) for values in lists.values()):
            raise psycopg.ProgrammingError("the URL has not as many ports as hosts")
        self._hosts = [
            {name: values[0] if len(values) == 1 else values[number] for name, values in lists.items()}
            for number in range(count)
        ]
        if count > 1:
            parameters.setdefault("target_session_attrs", "read-write")
        self._parameters = parameters
        self._lock = threading.Lock()

    @property
    def place(self) -> tuple[Any, ...]:
        """Where the database is: routes of one place lead to one database, and so may those of several."""
        hosts = {tuple(host.get(name) or None for name in _HOST) for host in self._hosts}
        return hosts, self._parameters.get("dbname"), self._parameters.get("service")

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of a connection to any of the hosts, the one that answered last first."""
        with self._lock:
            hosts = list(self._hosts)
        lists = {name: ",".join(host[name] for host in hosts) for name in _HOST if hosts and name in hosts[0]}
        return {**self._parameters, **lists}

    def connect(self, kind: type[C], **changes: Any) -> C:
        """Connect to a host. Raises psycopg.OperationalError, after a few seconds, with what is wrong with each."""
        connection = kind.connect(**{**self.parameters, **changes})
        self._move(connection, first=True)
        return connection

    def parameters_to(self, connection: "psycopg.Connection[Any]") -> dict[str, Any]:
        """The parameters of another connection to the very server of this one, primary or not."""
        at = connection.info
        here = {"host": at.host, "hostaddr": at.get_parameters().get("hostaddr"), "port": at.port}
        return {**self._parameters, **here, "target_session_attrs": "any"}

    def silent(self, connection: "psycopg.Connection[Any]") -> None:
        """Try the host of this connection last from now on."""
        self._move(connection, first=False)

    def _move(self, connection: "psycopg.Connection[Any]", *, first: bool) -> None:
        if len(self._hosts) < 2:
            return
        at = {**connection.info.get_parameters(), "port": str(connection.info.port)}
        with self._lock:
            self._hosts.sort(key=lambda host: first != _is_at(host, at))


def _is_at(host: dict[str, str], at: dict[str, str]) -> bool:
    return all((host[name] or "5432") == at.get(name) for name in host)


def _loads(data: str | bytes) -> Any:
    """Read JSON of Postgres in an eighth of the time of `json.loads`, which takes what is nested too deep for that."""
    try:
        return from_json(data)
    except ValueError:
        return json.loads(data)


class RoutedConnection(psycopg.Connection[DictRow]):
    """A connection of our own, with what is to be known of the server at its end. It commits each statement."""

    is_pooled = False
    """Whether a pooler gives each transaction another session of Postgres."""
    needs_transaction = False
    """Whether a statement by itself would not be READ COMMITTED."""

    @classmethod
    def connect(cls, conninfo: str = "", *, route: Route | None = None, **parameters: Any) -> Self:  # type: ignore[override]
        """Connect to a host of `route`. (A pool hands on such arguments, and calls this.)"""
        if route is not None:
            return route.connect(cls, **parameters)
        terms: dict[str, Any] = {"autocommit": True, "row_factory": dict_row, "cursor_factory": NumberedCursor}
        connection: Any = super().connect(conninfo, **terms | parameters)
        set_json_loads(_loads, connection)
        return connection


def connect(url: str, **parameters: Any) -> RoutedConnection:
    """Connect outside of any pool. Raises psycopg.OperationalError as `Route.connect`."""
    return Route(url).connect(RoutedConnection, **parameters)
