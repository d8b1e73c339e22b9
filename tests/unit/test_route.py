"""The way to Postgres: what a URL says, and which of its hosts is asked first."""

from typing import Any

import psycopg
import pytest

from agent_tasks.store.route import Route


class Host:
    """Stands for a connection: it notes what it was made with, and is at the first host that is up."""

    up: tuple[str, ...] = ()
    tried: str = ""

    def __init__(self, host: str, port: str) -> None:
        self.info = self
        self.host, self.port = host, int(port)

    def get_parameters(self) -> dict[str, str]:
        return {"host": self.host}

    @classmethod
    def connect(cls, **parameters: Any) -> "Host":
        cls.tried = parameters["host"]
        pairs = zip(parameters["host"].split(","), parameters["port"].split(","), strict=True)
        host, port = next((h, p) for h, p in pairs if h in cls.up)
        return cls(host, port or "5432")


def parameters(url: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    class Kind:
        @classmethod
        def connect(cls, **given: Any) -> Host:
            found.update(given)
            return Host("h", "1")

    Route(url).connect(Kind)  # type: ignore[type-var]
    return found


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_form_of_a_url_is_understood(scheme: str) -> None:
    found = parameters(f"{scheme}://ana:secret@db:6000/app?sslmode=require")
    assert {k: found[k] for k in ("user", "password", "host", "port", "dbname", "sslmode")} == {
        "user": "ana",
        "password": "secret",
        "host": "db",
        "port": "6000",
        "dbname": "app",
        "sslmode": "require",
    }
    assert "target_session_attrs" not in found


def test_waits_are_bounded_and_the_url_may_bound_them_otherwise() -> None:
    assert parameters("postgresql://db/app")["connect_timeout"] == 4
    assert parameters("postgresql://db/app")["tcp_user_timeout"] == 10_000
    assert parameters("postgresql://db/app?connect_timeout=9")["connect_timeout"] == "9"


def test_of_several_hosts_only_the_primary_will_do_unless_the_url_says_otherwise() -> None:
    assert parameters("postgresql://a,b/app")["target_session_attrs"] == "read-write"
    assert parameters("postgresql://a,b/app?target_session_attrs=any")["target_session_attrs"] == "any"


def test_the_host_that_answered_is_asked_first_and_one_that_fell_silent_last() -> None:
    route = Route("postgresql://a:1,b,c:3/app")
    Host.up = ("b",)
    at_b = route.connect(Host)  # type: ignore[type-var]
    assert Host.tried == "a,b,c"
    Host.up = ("c",)
    route.connect(Host)  # type: ignore[type-var]
    assert Host.tried == "b,a,c"
    route.connect(Host)  # type: ignore[type-var]
    assert Host.tried == "c,b,a"
    route.silent(at_b)  # type: ignore[arg-type]
    route.connect(Host)  # type: ignore[type-var]
    assert Host.tried == "c,a,b"


def test_hosts_and_ports_that_do_not_match_are_refused_at_once() -> None:
    with pytest.raises(psycopg.Error, match="ports"):
        Route("postgresql://a,b,c/app?port=1,2")
