"""The same questions to the app of AgentCore's SDK and to a gateway in the mode `answer`, answer by answer."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.conftest import Fleet
from tests.eventually import eventually
from tests.gateway import Answer
from tests.gateway.runtime import AGENTS, HEADER, Runtime, new_session, start_runtime
from tests.gateway.sdk import sdk_app

STREAM = {"Accept": "text/event-stream"}


@dataclass
class Both:
    """The SDK's app and ours."""

    sdk: httpx2.Client
    ours: Runtime

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[Answer, Answer]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        theirs = self.sdk.request(method, path, content=body, headers=named)
        return theirs, self.ours.http.request(method, path, content=body, headers=named)


@pytest.fixture(scope="module")
def both(fleet: Fleet) -> Iterator[Both]:
    worker = fleet.processes.worker(agents=(AGENTS,), queue="agentcore")
    runtime = start_runtime(fleet.client, fleet.processes, agentcore_identity="acme/bea")
    with sdk_app() as url, httpx2.Client(base_url=url, timeout=20) as sdk:
        yield Both(sdk, runtime)
    runtime.http.close()
    worker.kill()


def shape(answer: Answer) -> dict[str, Any]:
    """What of an answer must be the same: all but what the servers add, and keys in another order."""
    kind = answer.headers.get("content-type", "")
    return {
        "status": answer.status_code,
        "content-type": kind,
        "allow": sorted(answer.headers.get("allow", "").split(", ")),
        "location": urlsplit(answer.headers.get("location", "")).path,
        "body": answer.json() if kind == "application/json" and answer.content else answer.text,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/ping"),
        ("POST", "/ping"),
        ("OPTIONS", "/ping"),
        ("GET", "/ping/"),
        ("POST", "/ping/"),
        ("GET", "/invocations"),
        ("PUT", "/invocations"),
        ("POST", "/invocations/"),
        ("GET", "/"),
        ("GET", "/nothing"),
        ("DELETE", "/nothing/at/all"),
        ("GET", "/ws"),
        ("POST", "/ws"),
    ],
)
def test_paths_and_methods_are_answered_alike(both: Both, method: str, path: str) -> None:
    theirs, ours = both.ask(method, path)
    assert shape(ours) == shape(theirs)


def test_a_ping_is_answered_alike(both: Both) -> None:
    theirs, ours = both.ask("GET", "/ping")
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    for answer in (theirs, ours):
        assert re.fullmatch(r'\{"status":"Healthy","time_of_last_update":\d{10}\}', answer.text)


def test_a_websockets_handshake_is_refused_alike(both: Both) -> None:
    handshake = (
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    heads: list[list[str]] = []
    for url in (str(both.sdk.base_url), both.ours.url):
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
            connection.sendall(handshake.encode())
            received = b""
            while found := connection.recv(4096):
                received += found
        lines = received.decode().lower().split("\r\n")
        heads.append(sorted(line for line in lines if not line.startswith(("date:", "server:"))))
    assert heads[0] == heads[1]


@pytest.mark.parametrize(
    "body",
    [
        b'"text"', b"7", b"-0.5", b"1e3", b"true", b"null", b"[]", b'[1, "two", null]', b"{}", b' {"payload": 1}\n',
        b'{"payload": {"b": 1, "a": [true, 1.5]}}', '{"payload": "größer, ☃, 𝄞"}'.encode(), b'{"payload": ""}',
        b'\xef\xbb\xbf{"payload": "with a byte order mark"}', '{"payload": "in UTF-16"}'.encode("utf-16"),
        b"", b" ", b"{", b"{'payload': 1}", b'{"payload": 1} more', b'{"payload": 01}', b"\xff\xfe\xff",
        b'{"payload": "\xe4"}', b'"\xc3"', b'{"raises": "no such plan"}', b'{"raises": ""}',
        b'{"raises": "two\\nlines: and a colon"}', b'{"refuses": 404}', b'{"refuses": 418}', b'{"refuses": 503}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["application/json", None])
def test_payloads_are_answered_alike(both: Both, body: bytes, kind: str | None) -> None:
    theirs, ours = both.ask("POST", "/invocations", body, **({} if kind is None else {"Content_Type": kind}))
    assert shape(ours) == shape(theirs)


def test_a_text_is_written_alike_byte_by_byte(both: Both) -> None:
    theirs, ours = both.ask("POST", "/invocations", '{"payload": ["größer", 1.0, {"a": null}, "☃"]}'.encode())
    assert ours.content == theirs.content == '["größer", 1.0, {"a": null}, "☃"]'.encode()


@pytest.mark.parametrize("body", [b"NaN", b'{"payload": -Infinity}', b"1e999", b'{"payload": [NaN]}'])
def test_numbers_that_no_json_has_are_taken_alike_and_are_text_here(both: Both, body: bytes) -> None:
    theirs, ours = both.ask("POST", "/invocations", body)
    assert (ours.status_code, theirs.status_code) == (200, 200)
    assert re.sub(r'"(-?(?:NaN|Infinity))"', r"\1", ours.text) == theirs.text


def test_too_many_brackets_are_answered_alike(both: Both) -> None:
    theirs, ours = both.ask("POST", "/invocations", b"[" * 100_000)
    assert shape(ours) == shape(theirs)
    assert ours.status_code == 500


@pytest.mark.parametrize("session", [None, "s", "s" * 32, "s" * 33, "s" * 256, "s" * 257, "s" * 5000])
def test_sessions_are_taken_alike(both: Both, session: str | None) -> None:
    theirs, ours = both.ask("POST", "/invocations", b"1", **({} if session is None else {HEADER: session}))
    assert shape(ours) == shape(theirs)
    assert ours.headers[HEADER] == session or (session is None and len(ours.headers[HEADER]) >= 33)


@pytest.mark.parametrize(
    "given",
    [
        {"emits": [1, "größer", {"a": [None]}, ""]},
        {"emits": [1, 2], "raises": "no more"},
        {"emits": []},
        {"emits": [], "raises": "at once"},
    ],
)
def test_what_an_agent_emits_is_streamed_as_what_a_generator_yields(both: Both, given: dict[str, Any]) -> None:
    theirs, ours = both.ask("POST", "/invocations", json.dumps(given).encode(), **STREAM)
    assert ours.headers["content-type"] == theirs.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert ours.text == theirs.text


def test_a_stream_ends_with_the_result_where_there_is_one(both: Both) -> None:
    ours = both.ours.invoke({"emits": [1], "payload": "done"}, **STREAM)
    assert ours.text == 'data: 1\n\ndata: "done"\n\n'


def test_a_payload_that_the_agent_does_not_take_is_an_error_of_the_agent(both: Both) -> None:
    refused = both.ours.invoke({"unknown": 1})
    assert (refused.status_code, set(refused.json())) == (500, {"error"})
    assert "unknown" in refused.json()["error"]


def test_a_text_that_postgres_cannot_keep_is_refused(both: Both) -> None:
    refused = both.ours.invoke({"payload": "\0"})
    assert (refused.status_code, set(refused.json())) == (500, {"error"})


def test_a_runtime_without_its_agent_has_no_entrypoint(fleet: Fleet) -> None:
    _, url = fleet.processes.gateway(agentcore_agent="nobody")
    answer = httpx2.post(f"{url}/invocations", json={})
    assert answer.status_code == 500
    assert answer.json()["error"] == "No entrypoint defined"
    assert "nobody" in answer.json()["details"]


def test_a_runtime_is_busy_while_an_invocation_waits_for_its_answer(both: Both) -> None:
    both.ours.becomes("Healthy")
    session = new_session()
    with ThreadPoolExecutor(1) as crowd:
        answer = crowd.submit(both.ours.invoke, {"payload": "at last", "waits": True}, session)
        both.ours.becomes("HealthyBusy")
        (task,) = both.ours.client.search(session_id=session).tasks
        both.ours.end(str(task.id))
        assert answer.result().text == '"at last"'
    assert both.ours.ping()[0] == "Healthy"


@pytest.mark.parametrize("kind", ["answer", "stream"])
def test_who_waits_when_the_gateway_is_stopped_is_told_that_the_task_goes_on(
    fleet: Fleet, both: Both, kind: str
) -> None:
    gateway = start_runtime(fleet.client, fleet.processes, agentcore_identity="acme/bea")
    session = new_session()
    with ThreadPoolExecutor(1) as crowd:
        asked = crowd.submit(gateway.invoke, {"waits": True}, session, **(STREAM if kind == "stream" else {}))
        (task,) = eventually(lambda: gateway.client.search(session_id=session).tasks)
        gateway.waiting(str(task.id))
        gateway.running.send(signal.SIGTERM)
        answer = asked.result()
    assert gateway.running.wait_for_exit() == 0
    said = f"This gateway ends. Task {task.id} goes on without it."
    if kind == "answer":
        assert (answer.status_code, answer.json()) == (503, {"error": said})
    else:
        (frame,) = answer.text.split("\n\n")[:-1]
        assert json.loads(frame.removeprefix("data: "))["error"] == said
    both.ours.end(str(task.id))


def test_a_task_goes_on_when_whoever_invoked_it_goes_away(both: Both) -> None:
    session = new_session()
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(
            f"{both.ours.url}/invocations", json={"payload": 1, "waits": True}, headers={HEADER: session}, timeout=1
        )
    (task,) = both.ours.client.search(session_id=session).tasks
    both.ours.end(str(task.id))
    assert both.ours.task(str(task.id)).result() == 1


def test_invocations_and_pings_are_counted_by_their_names(fleet: Fleet, both: Both) -> None:
    both.ours.ping()
    both.ours.http.get("/nothing")
    key = fleet.client.create_key(subject="ops", scopes=["admin"]).key
    metrics = both.ours.http.get("/metrics", headers={"Authorization": f"Bearer {key}"}).text
    for operation, status in (("ping", 200), ("invoke", 200), ("none", 404)):
        assert f'operation="{operation}",status="{status}"' in metrics
