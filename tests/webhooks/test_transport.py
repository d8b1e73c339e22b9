"""The transport: what is connected to was checked, and no receiver costs more than its time."""

import asyncio
import socket
from time import monotonic
from typing import Any

import httpcore2
import pytest

from agent_tasks.task.public_address import Allowed
from agent_tasks.webhooks.transport import READ_BYTES, Answer, NotSent, Resolve, Transport, Withdrawn
from tests.webhooks.receiver import Receiver, receiving

HERE = ("127.0.0.1",)


def post(url: str, *allowed: str, resolve: Resolve | None = None, seconds: float = 5.0, **options: Any) -> Answer:
    transport = Transport(Allowed(allowed), seconds=seconds, resolve=resolve)
    return asyncio.run(transport.post(url, {"X-Said": "so"}, b'{"a":1}', **options))


def resolving(*answers: list[str]) -> tuple[Resolve, list[str]]:
    """A resolver with these answers, one after the other, and the names that it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which sockets were opened, none of which is."""
    found: list[str] = []

    async def dial(self: Any, host: str, *args: Any, **options: Any) -> Any:
        found.append(host)
        raise httpcore2.ConnectError("nothing is dialled in this test")

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", dial)
    return found


def test_a_request_has_its_headers_and_body_and_no_more_than_one_connection() -> None:
    with receiving() as receiver:
        assert post(f"{receiver.url}/a?b=c", *HERE).status == 204
        (received,) = receiver.received
    assert received.path == "/a?b=c"
    assert received.body == b'{"a":1}'
    assert received.headers == {
        "host": f"127.0.0.1:{receiver.port}", "x-said": "so", "content-length": "7", "connection": "close",
    }  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://2130706433:{port}/", "http://0x7f.1:{port}/",
        "http://0:{port}/", "http://127.1:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://[::1]:{port}/",
        "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://100.64.0.1/", "http://192.168.0.1/",
        "http://[64:ff9b::7f00:1]/", "http://[fd00:ec2::254]/", "http://168.63.129.16/", "https://127.0.0.1:{port}/",
    ],
)  # fmt: skip
def test_a_target_within_is_refused_and_no_socket_is_opened(url: str, dialled: list[str]) -> None:
    with pytest.raises(NotSent, match="is refused: its address is not on the public internet"):
        post(url.format(port=80))
    assert dialled == []


def test_a_receiver_on_this_machine_gets_nothing_unless_it_is_allowed() -> None:
    with receiving() as receiver:
        for url in (receiver.url, f"http://localhost:{receiver.port}", f"http://[::ffff:127.0.0.1]:{receiver.port}"):
            with pytest.raises(NotSent):
                post(url)
        assert receiver.connections == 0
        post(receiver.url, "127.0.0.0/8")
        post(f"http://localhost:{receiver.port}", "localhost", resolve=resolving(["127.0.0.1"])[0])
        assert receiver.connections == 2


def test_a_name_that_resolves_to_loopback_is_refused() -> None:
    resolve, asked = resolving(["127.0.0.1"])
    with receiving() as receiver, pytest.raises(NotSent, match=r"inside\.example is refused"):
        post(f"http://inside.example:{receiver.port}/", resolve=resolve)
    assert asked == ["inside.example"]
    assert receiver.connections == 0


def test_one_bad_address_among_good_ones_refuses_the_name(dialled: list[str]) -> None:
    with pytest.raises(NotSent, match="is refused"):
        post("http://mixed.example/", resolve=resolving(["93.184.216.34", "10.0.0.1"])[0])
    assert dialled == []


def test_a_name_that_changes_between_check_and_use_is_resolved_once_and_dialled_as_it_was_checked() -> None:
    resolve, asked = resolving(["127.0.0.1"], ["127.0.0.2"])
    with receiving() as checked, receiving("127.0.0.2", checked.port) as other:
        post(f"http://moving.example:{checked.port}/", *HERE, resolve=resolve)
        assert (checked.connections, other.connections, len(asked)) == (1, 0, 1)
        assert checked.received[0].headers["host"] == f"moving.example:{checked.port}"
        with pytest.raises(NotSent, match=r"moving\.example is refused"):
            post(f"http://moving.example:{checked.port}/", *HERE, resolve=resolve)
        assert other.connections == 0


def test_the_next_address_is_tried_where_the_first_is_dead() -> None:
    with receiving() as receiver:
        resolve, _ = resolving(["127.0.0.2", "127.0.0.1"])
        assert post(f"http://two.example:{receiver.port}/", "127.0.0.0/8", resolve=resolve).status == 204


@pytest.mark.parametrize("name", ["", "no-such-host.invalid", "a" * 70 + ".example", "xn--.example"])
def test_a_name_without_address_says_so(name: str) -> None:
    with pytest.raises(NotSent, match=r"cannot be resolved|cannot be read|must be of http"):
        post(f"http://{name}/")


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "http://user@a.example/", "http://a.example:99999/", "unix:/x", ""]
)
def test_no_url_of_http_no_request(url: str) -> None:
    with pytest.raises(NotSent, match="the URL"):
        post(url)


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with receiving(moved=["redirect"]) as receiver:
        assert post(f"{receiver.url}/moved", *HERE).status == 302
        assert [each.path for each in receiver.received] == ["/moved"]


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        post(receiver.url, *HERE)
        assert (proxy.connections, receiver.connections) == (0, 1)


@pytest.mark.parametrize("behaviour", ["hang", "drip"])
def test_a_receiver_that_does_not_come_to_an_end_is_left(behaviour: str) -> None:
    with receiving(slow=[behaviour]) as receiver:
        began = monotonic()
        with pytest.raises(NotSent, match=r"no whole answer within 0\.5 seconds"):
            post(f"{receiver.url}/slow", *HERE, seconds=0.5)
        assert monotonic() - began < 5


def test_a_resolver_that_hangs_is_left() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    with pytest.raises(NotSent, match=r"no whole answer within 0\.2 seconds"):
        post("http://slow.example/", resolve=resolve, seconds=0.2)


def test_of_ten_gigabytes_the_beginning_is_read() -> None:
    with receiving(large=["endless"]) as receiver:
        assert post(f"{receiver.url}/large", *HERE).status == 200
        kernel = 64 * 1024 * 1024  # what its buffers may take at the most
        assert READ_BYTES <= receiver.sent < READ_BYTES + kernel


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [("close", "the connection|the answer"), ("nonsense", "the answer is no HTTP"), ("", "it cannot be connected to")],
)
def test_a_broken_receiver_is_told_of(behaviour: str, said: str) -> None:
    with receiving(bad=[behaviour]) as receiver:
        url = f"{receiver.url}/bad" if behaviour else f"http://127.0.0.1:{free_port()}/"
        with pytest.raises(NotSent, match=said):
            post(url, *HERE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


async def unwanted() -> bool:
    return False


def test_what_is_not_wanted_any_more_opens_no_socket() -> None:
    with receiving() as receiver:
        with pytest.raises(Withdrawn):
            post(receiver.url, *HERE, is_wanted=unwanted)
        assert receiver.connections == 0


def test_the_head_of_an_answer_says_when_to_come_again() -> None:
    with receiving(busy=["503 Retry-After: 7"]) as receiver:
        assert post(f"{receiver.url}/busy", *HERE) == Answer(503, "7")


def test_a_hundred_requests_go_side_by_side() -> None:
    async def many(receiver: Receiver) -> list[Answer]:
        transport = Transport(Allowed(HERE), seconds=10)
        return await asyncio.gather(*(transport.post(receiver.url, {}, b"") for _ in range(100)))

    with receiving() as receiver:
        assert {answer.status for answer in asyncio.run(many(receiver))} == {204}
