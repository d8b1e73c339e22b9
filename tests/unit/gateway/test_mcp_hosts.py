"""Under which names the door of the Model Context Protocol is asked, and by which pages."""

import pytest
from starlette.requests import Request

from agent_tasks import Settings
from agent_tasks.gateway.mcp.hosts import check_ends
from agent_tasks.gateway.refusals import Refused


def asked(host: str, origin: str | None = None, client: str = "10.0.0.9") -> Request:
    headers = [(b"host", host.encode()), *([] if origin is None else [(b"origin", origin.encode())])]
    return Request({"type": "http", "method": "POST", "path": "/mcp", "headers": headers, "client": (client, 1)})


def settings(**given: object) -> Settings:
    return Settings(database_url="postgresql://h/d", redis_url="redis://h", public_url="https://own.example/a", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["mcp.example", "local.example", "local.example:8000"])
def test_the_names_of_the_settings_are_answered_to(host: str) -> None:
    check_ends(asked(host), settings(mcp_hosts=("mcp.example", "local.example:*")))


@pytest.mark.parametrize("host", ["", "evil.example", "mcp.example:80", "mcp.example.evil", "local.example:80.evil"])
def test_others_are_not(host: str) -> None:
    with pytest.raises(Refused) as caught:
        check_ends(asked(host), settings(mcp_hosts=("mcp.example", "local.example:*")))
    assert caught.value.status == 421


def test_any_name_will_do_where_none_is_set() -> None:
    check_ends(asked("any.example"), settings())


@pytest.mark.parametrize("origin", ["https://own.example", "https://app.example", "http://dev.example:5173"])
def test_pages_of_the_settings_and_of_the_public_address_may_ask(origin: str) -> None:
    check_ends(asked("h", origin), settings(mcp_origins=("https://app.example", "http://dev.example:*")))


@pytest.mark.parametrize("origin", ["null", "https://own.example:444", "http://own.example", "http://dev.example:x"])
def test_pages_of_others_may_not(origin: str) -> None:
    with pytest.raises(Refused) as caught:
        check_ends(asked("h", origin), settings(mcp_origins=("https://app.example", "http://dev.example:*")))
    assert caught.value.status == 403


def test_without_authentication_only_this_machine_asks() -> None:
    off = settings(gateway_auth="off")
    check_ends(asked("127.0.0.1:8000", client="127.0.0.1"), off)
    for request in (asked("127.0.0.1:8000"), asked("evil.example", client="127.0.0.1")):
        with pytest.raises(Refused):
            check_ends(request, off)
