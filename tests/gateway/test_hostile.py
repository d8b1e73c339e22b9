"""What no well-meaning client sends: each is told what is wrong, nothing of it is done, and the gateway serves on."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import Fleet
from tests.gateway import Caller, Gateway
from tests.gateway.raw import COUNT, Reply, Wire
from tests.issuer import Issuer, running_issuer
from tests.unit.gateway.test_issuer import REFUSED

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def gateway(fleet: Fleet, issuer: Issuer) -> Iterator[Gateway]:
    """One that waits for a second, and takes the issuer's tokens."""
    running, url = fleet.processes.gateway(
        gateway_body_seconds=1.0, gateway_rate="", oidc_issuer=issuer.url, oidc_audience="agent-tasks"
    )
    gateway = Gateway(fleet.client, fleet.processes, running, url)
    yield gateway
    gateway.close()


@pytest.fixture(scope="module")
def wire(gateway: Gateway) -> Wire:
    scopes = ["tasks:write", "tasks:read", "tasks:signal", "tasks:cancel"]
    return Wire(gateway.url, gateway.client.create_key(tenant="acme", subject="eve", scopes=scopes).key)


@pytest.fixture(autouse=True)
def serves_on(gateway: Gateway, wire: Wire) -> Iterator[None]:
    """After each test the gateway is the same process, serves, and has failed at nothing."""
    yield
    assert gateway.running.is_alive
    assert wire.get("/healthz").status == 200
    assert "Traceback" not in gateway.running.output


def tasks_of_eve(gateway: Gateway) -> int:
    return len(gateway.client.search(subject="eve", limit=1000).tasks)


def refused(reply: Reply, *statuses: int) -> dict[str, Any]:
    """The problem document of a refusal that says what to do."""
    assert reply.raw, "no answer"
    assert reply.status in statuses, reply.raw[:2000]
    assert "content-type: application/problem+json" in reply.head
    document = reply.document
    assert document["status"] == reply.status
    assert document["detail"] == document["error"]["message"]
    assert len(document["detail"]) < 1500
    assert document["title"]
    assert document["type"].startswith("urn:agent-tasks:problem:")
    return document


def field(name: str, value: str) -> bytes:
    return COUNT[:-1] + b', "%s": %s}' % (name.encode(), value.encode())


def text(size: int) -> str:
    return json.dumps("x" * size)


BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no JSON": (b"{", 400),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "NaN": (field("ttl", "NaN"), 400),
    "Infinity": (field("ttl", "-Infinity"), 400),
    "1e999": (field("ttl", "1e999"), 400),
    "1e400 as a budget": (field("budget", '{"usd": 1e400}'), 400),
    "NUL": (field("session_id", '"a\\u0000"'), 400),
    "NUL in the input": (b'{"agent": "count", "input": {"to": 1, "\\u0000": 2}}', 400),
    "lone surrogate": (field("metadata", '{"a": "\\ud800"}'), 400),
    "raw NUL": (field("session_id", '"a\x00"'), 400),
    "duplicate keys": (field("agent", '"count"'), 400),
    "duplicate keys within": (field("metadata", '{"a": {"b": 1, "b": 2}}'), 400),
    "depth 20,000": (field("metadata", "[" * 20_000), 400),
    "depth 20,000, closed": (field("metadata", '{"a":' * 20_000 + "1" + "}" * 20_000), 400),
    "latin-1": (field("session_id", '"é"').decode().encode("latin-1"), 400),
    "UTF-16": (COUNT.decode().encode("utf-16"), 400),
    "5,000 digits": (field("priority", "9" * 5_000), 400),
    "bool for a whole number": (field("priority", "true"), 422),
    "1.0 for a whole number": (field("priority", "1.0"), 422),
    "text for a number": (field("ttl", '"1"'), 422),
    "priority -1": (field("priority", "-1"), 422),
    "priority 10": (field("priority", "10"), 422),
    "priority 2**63": (field("priority", str(2**63)), 422),
    "priority of 300 digits": (field("priority", "9" * 300), 422),
    "ttl 0": (field("ttl", "0"), 422),
    "ttl -0": (field("ttl", "-0.0"), 422),
    "ttl -1": (field("ttl", "-1"), 422),
    "ttl 1e300": (field("ttl", "1e300"), 422),
    "budget 0": (field("budget", '{"steps": 0}'), 422),
    "budget 2**63": (field("budget", f'{{"tokens": {2**63}}}'), 422),
    "budget of nothing known": (field("budget", '{"euro": 1}'), 422),
    "an unknown field": (field("colour", '"green"'), 422),
    "mode": (field("mode", '"later"'), 422),
    "agent of 1 MB": (b'{"agent": %s, "input": {}}' % text(MIB).encode(), 422),
    "agent of nothing": (b'{"agent": "", "input": {}}', 422),
    "agent with NUL": (b'{"agent": "a\\u0000b"}', 400),
    "session_id of 1 MB": (field("session_id", text(MIB)), 413),
    "metadata of 1 MB": (field("metadata", f'{{"a": {text(MIB)}}}'), 413),
    "metadata that is a list": (field("metadata", "[1]"), 422),
    "queue of 1 MB": (field("queue", text(MIB)), 422),
    "queue of nothing": (field("queue", '""'), 422),
    "an unknown field of 1 MB": (b'{"agent": "count", %s: 1}' % text(MIB).encode(), 422),
    "100,000 unknown fields": (b'{"agent": "count", %s}' % b",".join(b'"%d":1' % n for n in range(100_000)), 422),
    "100,000 fields in a budget": (
        field("budget", "{" + ",".join(f'"{n}":1' for n in range(100_000)) + "}"),
        422,
    ),
    "input of 3 MB": (b'{"agent": "count", "input": {"to": %s}}' % text(3 * MIB).encode(), 413),
    "input that the step does not take": (b'{"agent": "count", "input": {"to": {"a": 1}}}', 422),
    "input 1e300 for a whole number": (b'{"agent": "count", "input": {"to": 1e300}}', 422),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_means_nothing_or_too_much_is_refused(gateway: Gateway, wire: Wire, name: str) -> None:
    body, status = BODIES[name]
    before = tasks_of_eve(gateway)
    problem = refused(wire.post("/tasks", body), status)
    assert problem["error"]["suggested_action"] in ("fix_input", "escalate")
    assert tasks_of_eve(gateway) == before


@pytest.mark.parametrize("kind", [b"", b"text/plain", b"application/x-www-form-urlencoded", b"\xff", b"a" * 9000])
def test_a_body_of_another_kind_is_refused(gateway: Gateway, wire: Wire, kind: bytes) -> None:
    before = tasks_of_eve(gateway)
    refused(wire.post("/tasks", COUNT, kind=kind), 415)
    assert tasks_of_eve(gateway) == before


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunks(wire: Wire, size: int) -> Iterator[bytes]:
    yield wire.head("POST", "/tasks", b"Content-Type: application/json", b"Transfer-Encoding: chunked") + b"\r\n\r\n"
    for _ in range(size // MIB):
        yield chunk(b" " * MIB)
    yield b"0\r\n\r\n"


def announced(wire: Wire, size: int) -> Iterator[bytes]:
    length = b"Content-Length: %d" % size
    yield wire.head("POST", "/tasks", b"Content-Type: application/json", length) + b"\r\n\r\n"
    for _ in range(size // MIB):
        yield b" " * MIB


def test_50_mb_are_refused_in_a_way_that_whoever_sends_all_of_it_still_reads(wire: Wire) -> None:
    for body in (announced(wire, 50 * MIB), chunks(wire, 50 * MIB)):
        reply = wire.send(body)
        assert refused(reply, 413)["error"]["type"] == "payload_too_large"
        assert "connection: close" in reply.head
        assert reply.is_closed


def test_a_body_that_is_only_announced_is_not_asked_for(wire: Wire) -> None:
    head = [b"Content-Type: application/json", b"Content-Length: 50000000", b"Expect: 100-continue"]
    reply = wire.send(wire.head("POST", "/tasks", *head) + b"\r\n\r\n", half_close=False)
    assert refused(reply, 413)
    assert b"100 Continue" not in reply.raw


def test_whoever_sends_slowly_is_told_so_and_holds_nothing(gateway: Gateway, wire: Wire) -> None:
    before = tasks_of_eve(gateway)
    head = wire.head("POST", "/tasks", b"Content-Type: application/json", b"Content-Length: 1000") + b"\r\n\r\n"

    def dripping(data: bytes) -> Iterator[bytes]:
        for byte in data:
            yield bytes([byte])
            time.sleep(0.01)  # what it sends, and how fast, is what is tested

    replies: dict[str, Reply] = {}
    requests: dict[str, Any] = {
        "body": [head, COUNT],
        "dripping body": (part for whole in ([head], dripping(COUNT * 4)) for part in whole),
        "head": wire.head("GET", "/tasks"),
        "dripping head": dripping(wire.head("GET", "/tasks", b"X: " + b"x" * 50)),
        "second head": [wire.head("GET", "/healthz") + b"\r\n\r\n", b"GET /healthz HT"],
        "nothing": b"",
        "body that nobody reads": [wire.head("GET", "/healthz", b"Content-Length: 9") + b"\r\n\r\n", b"a"],
    }
    threads = [
        threading.Thread(target=lambda n=name, d=data: replies.update({n: wire.send(d)}))
        for name, data in requests.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("body", "dripping body", "head", "dripping head"):
        assert "in 1 s" in refused(replies[name], 408)["detail"], name
    assert replies["second head"].statuses == [200, 408]
    assert replies["nothing"].raw == b""
    assert replies["body that nobody reads"].statuses == [200]
    assert all(reply.is_closed for reply in replies.values())
    assert tasks_of_eve(gateway) == before


def test_a_head_that_is_too_large_is_refused(wire: Wire) -> None:
    for lines in (
        [b"X: " + b"x" * 65_536],
        [b"X: " + b"x" * MIB],
        [b"A:"] * 10_000,
        [b"X%d: x" % n for n in range(201)],
    ):
        assert "65,536 bytes, or more than 200 headers" in refused(wire.get("/healthz", *lines), 431)["detail"]
    refused(wire.get("/tasks/" + "x" * 70_000), 431)
    refused(wire.get("/tasks?x=" + "x" * 70_000), 431)
    assert wire.get("/healthz", *[b"X%d: x" % n for n in range(190)]).status == 200


def test_a_long_path_or_query_that_is_no_longer_than_a_head_may_be_is_answered(wire: Wire) -> None:
    refused(wire.get("/tasks/" + "x" * 60_000), 404)
    refused(wire.get("/" + "x/" * 30_000), 404)
    assert wire.get("/tasks?" + "&".join(f"a{n}=1" for n in range(7_000))).status == 200
    refused(wire.get("/tasks?agent=" + "x" * 60_000), 422)
    refused(wire.get("/tasks?" + "limit=x&" * 7_000), 422)


NO_HTTP: dict[str, bytes] = {
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "garbage": b"\x00\x01\x02\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\x07" * 150,
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n",
    "a target with a space": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target that is not ASCII": "GET /ä HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "HTTP/3": b"GET /healthz HTTP/3\r\nHost: a\r\n\r\n",
    "a header with NUL": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_http_is_refused_in_http(wire: Wire, name: str) -> None:
    reply = wire.send(NO_HTTP[name])
    assert "Send HTTP/1.1" in refused(reply, 400)["detail"]
    assert reply.is_closed


CUT: dict[str, tuple[list[bytes], bytes]] = {
    "both lengths": ([b"Content-Length: 38", b"Transfer-Encoding: chunked"], chunk(COUNT) + b"0\r\n\r\n"),
    "both lengths, the other way": ([b"Transfer-Encoding: chunked", b"Content-Length: 5"], b"0\r\n\r\n" + COUNT),
    "two lengths": ([b"Content-Length: 38", b"Content-Length: 5"], COUNT),
    "two lengths in one": ([b"Content-Length: 38, 5"], COUNT),
    "a length with a sign": ([b"Content-Length: +38"], COUNT),
    "a negative length": ([b"Content-Length: -1"], COUNT),
    "an endless length": ([b"Content-Length: " + b"9" * 30], COUNT),
    "another encoding": ([b"Transfer-Encoding: xchunked"], chunk(COUNT) + b"0\r\n\r\n"),
    "two encodings": ([b"Transfer-Encoding: gzip, chunked"], chunk(COUNT) + b"0\r\n\r\n"),
    "a space before the colon": ([b"Transfer-Encoding : chunked"], chunk(COUNT) + b"0\r\n\r\n"),
    "no size of a chunk": ([b"Transfer-Encoding: chunked"], b"zz\r\n" + COUNT),
    "a negative size of a chunk": ([b"Transfer-Encoding: chunked"], b"-5\r\n" + COUNT),
    "a chunk that is longer": ([b"Transfer-Encoding: chunked"], b"5\r\n" + COUNT + b"\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", CUT)
def test_a_body_that_two_readers_could_cut_differently_is_refused(gateway: Gateway, wire: Wire, name: str) -> None:
    lines, body = CUT[name]
    before = tasks_of_eve(gateway)
    reply = wire.send(wire.head("POST", "/tasks", b"Content-Type: application/json", *lines) + b"\r\n\r\n" + body)
    refused(reply, 400, 413)
    assert reply.is_closed
    assert len(reply.statuses) == 1
    assert tasks_of_eve(gateway) == before


def test_requests_one_after_the_other_without_waiting_are_answered_in_order(wire: Wire) -> None:
    bad = wire.head("POST", "/tasks", b"Content-Type: application/json", b"Content-Length: 1") + b"\r\n\r\n{"
    one = wire.head("GET", "/healthz") + b"\r\n\r\n"
    last = wire.head("GET", "/nothing", b"Connection: close") + b"\r\n\r\n"
    assert wire.send(one + bad + one + last).statuses == [200, 400, 200, 404]
    assert wire.send(one + one + b"nonsense\r\n\r\n" + one).statuses == [200, 200, 400]


def test_whoever_has_sent_all_and_says_so_is_answered(wire: Wire) -> None:
    head = wire.head("POST", "/tasks", b"Content-Type: application/json", b"Content-Length: %d" % len(COUNT))
    reply = wire.send(head + b"\r\n\r\n" + COUNT, half_close=True)
    assert reply.status == 202
    assert reply.is_closed


def test_whoever_goes_away_in_between_has_done_nothing(gateway: Gateway, wire: Wire) -> None:
    before = tasks_of_eve(gateway)
    head = wire.head("POST", "/tasks", b"Content-Type: application/json", b"Content-Length: 1000") + b"\r\n\r\n"
    for cut in (head[:20], head[:-2], head, head + COUNT):
        assert wire.send(cut, half_close=True).is_closed
    assert tasks_of_eve(gateway) == before


def test_http_1_0_is_served(wire: Wire) -> None:
    reply = wire.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (reply.status, reply.document, reply.is_closed) == (200, {"status": "ok"}, True)


def test_methods_are_told_apart_by_their_case_and_the_answer_names_all_of_a_path(wire: Wire) -> None:
    for method, path, allowed in (
        ("post", "/tasks", "GET, POST"),
        ("PATCH", "/tasks", "GET, POST"),
        ("OPTIONS", "/schedules/a", "DELETE, GET, PUT"),
        ("DELETE", "/openapi.json", "GET, HEAD"),
        ("M" * 5_000, "/healthz", "GET"),
    ):
        reply = wire.send(wire.head(method, path, b"Connection: close") + b"\r\n\r\n")
        assert allowed in refused(reply, 405)["detail"]
        assert f"allow: {allowed.lower()}" in reply.head


def test_another_protocol_that_is_asked_for_is_not_spoken_and_not_missed(wire: Wire) -> None:
    lines = [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    reply = wire.send(wire.head("GET", "/healthz", *lines) + b"\r\n\r\n", half_close=True)
    assert reply.status == 200


@pytest.mark.parametrize(
    "id", ["%00", "%2e%2e", "a%2Fb", "..%2f..", "%ff%fe", "%f0%9f%98%80", "%ed%a0%80", "%", "%zz", "1;drop", "٣", "*"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tasks/{id}"),
        ("GET", "/tasks/{id}/events"),
        ("POST", "/tasks/{id}/cancel"),
        ("POST", "/tasks/{id}/signals/a"),
        ("GET", "/schedules/{id}"),
        ("DELETE", "/schedules/{id}"),
    ],
)
def test_a_name_that_is_none_is_not_found(wire: Wire, method: str, path: str, id: str) -> None:
    target = path.replace("{id}", quote(id, safe="%*;"))
    reply = wire.send(wire.head(method, target, b"Content-Length: 0", b"Connection: close") + b"\r\n\r\n")
    refused(reply, 404, 422)


@pytest.mark.parametrize(
    "query",
    [
        *(
            "limit=0",
            "limit=-1",
            "limit=1001",
            f"limit={2**63}",
            f"limit={'9' * 5000}",
            "limit=1e1",
            "limit=",
            "limit=NaN",
        ),
        *("after=", "after=x", "after=%00", "after=" + "A" * 24, "after=AZjC9FqefDGaUT8MHB8rd9jM", "after=%ff"),
        *("status=", "status=done", "status=PENDING", "agent=", "agent=%00", "subject=%00", "session_id=%00"),
        *("agent=" + "x" * 257, "tenant=" + "x" * 257, "tenant=%00"),
    ],
)
def test_a_page_that_cannot_be_one_is_refused(wire: Wire, query: str) -> None:
    refused(wire.get(f"/tasks?{query}"), 422)


def test_cursors_from_elsewhere_are_refused(ana: Caller, wire: Wire) -> None:
    for _ in range(2):
        ana.submit("count", {"to": 1})
    cursor = ana.get("/tasks", params={"limit": 1}).json()["next"]
    for wrong in (cursor[:-1], cursor[:-1] + ("A" if cursor[-1] != "A" else "B"), cursor * 2):
        refused(wire.get(f"/tasks?after={quote(wrong)}"), 422)
    assert wire.get(f"/tasks?after={cursor}").status == 200


def test_of_a_parameter_that_is_given_twice_the_last_counts(wire: Wire) -> None:
    refused(wire.get("/tasks?limit=1&limit=x"), 422)
    assert len(wire.get("/tasks?limit=1000&limit=1").document["tasks"]) <= 1


@pytest.mark.parametrize("after", ["-1", "1.5", "x", "%00", "9" * 30, str(2**63), str(2**31), "1000000", ""])
def test_a_number_of_an_event_that_is_not_there_is_refused(ana: Caller, gateway: Gateway, after: str) -> None:
    task = ana.submit("count", {"to": 1})
    wire = Wire(gateway.url, gateway.client.create_key(tenant="acme", subject="ana", scopes=["tasks:read"]).key)
    refused(wire.get(f"/tasks/{task['id']}/events?after={after}"), 422)
    if "%" not in after:
        for accept in (b"Accept: application/json", b"Accept: text/event-stream"):
            refused(wire.get(f"/tasks/{task['id']}/events", b"Last-Event-ID: " + after.encode(), accept), 400, 422)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "wait",
            "wait=",
            "wait=-1",
            "wait=1e9",
            "wait=NaN",
            'wait="',
            "wait=99999999999999999999;a=b",
            ",,,;;;===",
            "=",
        ),
        *("wait=١", "\xff", "respond-async, wait=x", '"' * 5_000, "wait=0 " * 5_000, 'a="\\' * 5_000, ";" * 50_000),
        *("," * 50_000, "wait=\t\t\t" * 5_000, " " * 50_000 + "x"),
    ],
)
def test_a_preference_that_is_none_is_ignored(ana: Caller, wire: Wire, value: str) -> None:
    reply = wire.post("/tasks", COUNT, b"Prefer: " + value.encode("utf-8"))
    assert reply.status in (200, 202), reply.raw[:500]
    accepted = reply.document
    reply = wire.get(f"/tasks/{accepted['id']}", b"If-None-Match: " + value.encode("utf-8"))
    assert reply.status == 200


TRACEPARENTS = {
    f"00-{TRACE}-00f067aa0ba902b7-01": True,
    f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-be-like": True,
    f"ff-{TRACE}-00f067aa0ba902b7-01": False,
    f"00-{TRACE}-00f067aa0ba902b7-01-more": False,
    f"00-{'0' * 32}-00f067aa0ba902b7-01": False,
    f"00-{TRACE.upper()}-00f067aa0ba902b7-01": False,
    "": False,
    "nonsense": False,
    "é" * 100: False,
    "0" * 60_000: False,
}


@pytest.mark.parametrize("given", TRACEPARENTS)
def test_a_trace_that_is_none_is_ignored_and_one_begins_anew(wire: Wire, given: str) -> None:
    reply = wire.post("/tasks", COUNT, b"traceparent: " + given.encode())
    assert reply.status == 202, reply.raw[:500]
    trace = reply.document["traceparent"].split("-")
    assert (trace[1] == TRACE) is TRACEPARENTS[given]
    assert (trace[0], len(trace)) == ("00", 4)


def test_two_traces_are_none(wire: Wire) -> None:
    line = f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01".encode()
    assert TRACE not in wire.post("/tasks", COUNT, line, line).document["traceparent"]


@pytest.mark.parametrize("key", ['""', '"', "ä", "x" * 256, "two words", '"\\x"', "\x7f", "a\tb", '"' * 60_000])
def test_an_idempotency_key_that_is_none_is_refused(gateway: Gateway, wire: Wire, key: str) -> None:
    before = tasks_of_eve(gateway)
    assert refused(wire.post("/tasks", COUNT, b"Idempotency-Key: " + key.encode()), 400)["detail"]
    assert tasks_of_eve(gateway) == before


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_is_none_of_the_issuer_is_refused(gateway: Gateway, issuer: Issuer, name: str) -> None:
    made, _ = REFUSED[name]
    reply = Wire(gateway.url, made(issuer)).post("/tasks")
    assert refused(reply, 401, 431)["detail"]
    if reply.status == 401:
        assert "www-authenticate: bearer" in reply.head


def test_a_token_of_the_issuer_is_taken(gateway: Gateway, issuer: Issuer) -> None:
    reply = Wire(gateway.url, issuer.token(scope="tasks:write tasks:read")).post("/tasks")
    assert reply.status == 202


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization:",
        b"Authorization: Bearer",
        b"Authorization: Bearer  ",
        b"Authorization: Basic YTpi",
        b"Authorization: Bearer at_",
        b"Authorization: Bearer at_" + b"0" * 16 + b"_" + b"A" * 43,
        b"Authorization: Bearer at_\xff\xfe",
        b"Authorization: Bearer " + b"a" * 60_000,
        b"Authorization: Bearer " + b"." * 60_000,
        b"Authorization: Bearer at_" + b"_" * 60_000,
        b"Authorization: Bearer a\r\nAuthorization: Bearer b",
    ],
)
def test_a_header_that_holds_no_token_is_refused(gateway: Gateway, wire: Wire, line: bytes) -> None:
    reply = wire.send(b"GET /tasks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + line + b"\r\n\r\n")
    refused(reply, 401)
    assert "www-authenticate: bearer" in reply.head


def test_whoever_has_no_token_is_not_asked_for_a_body(gateway: Gateway) -> None:
    nobody = Wire(gateway.url, "at_" + base64.b16encode(b"nobody").decode())
    assert refused(nobody.send(announced(nobody, 50 * MIB)), 401)


def test_a_refusal_of_many_fields_is_short(wire: Wire) -> None:
    for name in ("100,000 unknown fields", "100,000 fields in a budget"):
        problem = refused(wire.post("/tasks", BODIES[name][0]), 422)
        assert "fields are too many; the fields are" in problem["detail"]
        assert "others" not in problem["error"]["details"]


@pytest.mark.parametrize("answers", [[400, 202], [202, 400], [202, 202, 202], [400, 400]])
def test_whoever_sends_several_requests_and_says_that_this_is_all_is_answered_each(
    wire: Wire, answers: list[int]
) -> None:
    requests = b"".join(submit(wire, COUNT if status == 202 else b"{") for status in answers)
    assert wire.send(requests, half_close=True).statuses == answers


def test_half_a_request_after_which_all_is_said_is_not_answered(wire: Wire) -> None:
    whole = submit(wire, COUNT)
    for half in (whole[:30], whole[:-3]):
        assert wire.send(whole + half, half_close=True).statuses == [202]


def submit(wire: Wire, body: bytes) -> bytes:
    head = wire.head("POST", "/tasks", b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    return head + b"\r\n\r\n" + body
