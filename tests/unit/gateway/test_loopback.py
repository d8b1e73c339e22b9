"""Who counts as a program on this machine, where authentication is off."""

import pytest
from starlette.requests import Request

from agent_tasks.gateway.loopback import check_local, is_loopback
from agent_tasks.gateway.refusals import Refused


def request(client: str = "127.0.0.1", **headers: str) -> Request:
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": sent, "client": (client, 50000)})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "LOCALHOST"])
def test_these_hosts_are_this_machine_only(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", "127.1"])
def test_these_hosts_are_reached_from_others(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "http://127.0.0.1", "http://[::1]:8000"])
def test_a_program_on_this_machine_is_served(host: str, origin: str | None) -> None:
    check_local(request(host=host, **({} if origin is None else {"origin": origin})))


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"host": "evil.example"}, "host"),
        ({"host": "127.0.0.1.evil.example:8000"}, "host"),
        ({"host": "localhost@evil.example"}, "host"),
        ({"host": "[::1].evil.example"}, "host"),
        ({}, "host"),
        ({"host": "localhost", "origin": "https://evil.example"}, "origin"),
        ({"host": "localhost", "origin": "http://localhost.evil.example"}, "origin"),
        ({"host": "localhost", "origin": "null"}, "origin"),
        ({"host": "localhost", "client": "10.0.0.7"}, "the client"),
    ],
)
def test_pages_of_other_sites_and_other_machines_are_not(headers: dict[str, str], field: str) -> None:
    with pytest.raises(Refused) as refused:
        check_local(request(**headers))
    assert (refused.value.status, refused.value.field) == (403, field)
