"""The door itself: who is let in, under which names, and what is no message."""

from typing import Any

import pytest

pytest.importorskip("mcp")

from tests.conftest import Fleet
from tests.gateway import EVERYTHING, Gateway
from tests.gateway.mcp import LEGACY, MODERN, TASKS, Host

METADATA = "/.well-known/oauth-protected-resource"
CHALLENGE = f'resource_metadata="http://127.0.0.1:8000{METADATA}/mcp"'
SCOPES = {
    "tools/list": "tasks:read",
    "tools/call": "tasks:write",
    "tasks/get": "tasks:read",
    "tasks/update": "tasks:signal",
    "tasks/cancel": "tasks:cancel",
}


def params_of(method: str, task_id: str) -> dict[str, Any]:
    return {
        "tools/list": {},
        "tools/call": {"name": "laborious"},
        "tasks/update": {"taskId": task_id, "inputResponses": {}},
    }.get(method, {"taskId": task_id})


@pytest.fixture(scope="module")
def task(ana: Host) -> str:
    return ana.call("laborious")["taskId"]


@pytest.mark.parametrize("method", [*SCOPES, "server/discover", "initialize", "no/such"])
def test_nobody_is_let_in_without_a_token(door: Gateway, task: str, method: str) -> None:
    revoked = door.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    door.client.revoke_key(revoked.id)
    for token, said in ((None, "Bearer "), (revoked.key, 'Bearer error="invalid_token"'), ("nonsense", "Bearer error")):
        answer = Host(door.url, token).ask(method, params_of(method, task))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith(said)
        assert answer.headers["www-authenticate"].endswith(CHALLENGE)
        assert answer.json()["error"]["code"] == -32010
        assert answer.json()["error"]["data"]["type"] == "permission_denied"
        assert answer.json()["id"] is not None


@pytest.mark.parametrize("method", SCOPES)
def test_each_method_takes_the_scope_of_its_operation(door: Gateway, task: str, method: str) -> None:
    lacking = [scope for scope in EVERYTHING if scope != SCOPES[method]]
    host = Host(door.url, door.client.create_key(tenant="acme", subject="ana", scopes=lacking).key)
    answer = host.ask(method, params_of(method, task))
    assert answer.status_code == 403
    assert f'error="insufficient_scope", scope="{SCOPES[method]}"' in answer.headers["www-authenticate"]
    assert answer.headers["www-authenticate"].endswith(CHALLENGE)
    only = Host(door.url, door.client.create_key(tenant="acme", subject="ana", scopes=[SCOPES[method]]).key)
    assert only.ask(method, params_of(method, task)).status_code == 200
    root = Host(door.url, door.client.create_key(tenant="ops", subject="root", scopes=["admin"]).key)
    assert root.ask(method, params_of(method, task)).status_code == 200


def test_whoever_sees_the_whole_tenant_sees_its_tasks(door: Gateway, task: str) -> None:
    boss = Host(door.url, door.client.create_key(tenant="acme", subject="boss", scopes=[*EVERYTHING, "tasks:all"]).key)
    assert boss.get(task)["taskId"] == task


def test_a_hello_takes_a_token_and_no_scope(door: Gateway) -> None:
    host = Host(door.url, door.client.create_key(tenant="acme", subject="ana", scopes=[]).key)
    assert host.ask("server/discover").status_code == 200


def test_the_metadata_of_the_resource_is_open(door: Gateway) -> None:
    for path in (METADATA, f"{METADATA}/mcp"):
        answer = Host(door.url).http.get(path)
        assert answer.status_code == 200
        said = answer.json()
        assert said["resource"] == "http://127.0.0.1:8000/mcp"
        assert said["bearer_methods_supported"] == ["header"]
        assert {"tasks:read", "tasks:write", "admin:mcp"} <= set(said["scopes_supported"])
        assert "admin" not in said["scopes_supported"]


def test_the_rate_of_a_tenant_is_told_and_kept_over_mcp_too(fleet: Fleet) -> None:
    _, url = fleet.processes.gateway(gateway_rate="2/hour")
    host = Host(url, fleet.client.create_key(tenant="slow", subject="ana", scopes=EVERYTHING).key)
    answers = [host.ask("tools/list") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "ratelimit" in answers[0].headers
    assert int(answers[2].headers["retry-after"]) > 0
    assert answers[2].json()["error"]["data"]["retryable"] is True


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("header", [None, "another", "=?base64?YW5vdGhlcg==?=", "=?base64?!?="])
def test_a_header_that_names_another_task_is_refused(ana: Host, task: str, method: str, header: str | None) -> None:
    error = ana.error(method, params_of(method, task), headers={"Mcp-Name": header})
    assert (error["code"], error["status"]) == (-32020, 400)


def test_headers_that_disagree_with_the_body_are_refused(ana: Host) -> None:
    for headers in ({"Mcp-Method": "tools/call"}, {"Mcp-Method": None}, {"MCP-Protocol-Version": "2026-07-29"}):
        error = ana.error("tools/list", headers=headers)
        assert (error["code"], error["status"]) == (-32020, 400)
    error = ana.error("tools/call", {"name": "repeats", "arguments": {"text": "a"}}, headers={"Mcp-Name": "laborious"})
    assert (error["code"], error["status"]) == (-32020, 400)


def test_a_version_that_is_none_is_refused_with_those_that_are(ana: Host, token: str) -> None:
    error = Host(ana.url, token, version="2027-01-01").error("tools/list")
    assert (error["code"], error["status"]) == (-32022, 400)
    assert error["data"]["supported"] == [MODERN]


def test_a_method_that_is_none_is_refused(ana: Host) -> None:
    for method in ("tasks/list", "tasks/result", "tools/none", "prompts/list"):
        error = ana.error(method)
        assert (error["code"], error["status"]) == (-32601, 404)


def test_an_extension_that_nobody_knows_changes_nothing(ana: Host, token: str) -> None:
    host = Host(ana.url, token, capabilities={"extensions": {"com.example/other": {"a": 1}}})
    assert host.call("repeats", {"text": "a"})["content"][0]["text"] == "a"
    assert host.error("tools/call", {"name": "laborious"})["code"] == -32021


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff", -32700),
        (b'{"a": NaN}', -32700),
        (b"[" * 5000, -32700),
        (b'{"a": 1, "a": 2}', -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": "\\ud800"}}', -32700),
        (b"[]", -32600),
        (b"7", -32600),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}]', -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "tools/list"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": []}', -32600),
    ],
)
def test_what_is_no_message_is_refused(ana: Host, body: bytes, code: int) -> None:
    answer = ana.post(body, {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code


def test_a_message_that_is_too_large_is_refused(ana: Host) -> None:
    error = ana.error("tools/call", {"name": "repeats", "arguments": {"text": "a" * 3_000_000}})
    assert error["status"] == 413
    assert error["data"]["type"] == "payload_too_large"
    result = ana.call("repeats", {"text": "a" * 1_500_000})
    assert result["structuredContent"]["error"]["type"] == "payload_too_large"


def test_other_http_methods_and_kinds_of_bodies_are_refused(ana: Host) -> None:
    for method in ("GET", "DELETE", "PUT"):
        answer = ana.http.request(method, "/mcp", headers={"Accept": "text/event-stream"})
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert ana.post(message, {"MCP-Protocol-Version": MODERN, "Content-Type": "text/plain"}).status_code == 400
    assert ana.post(message, {"MCP-Protocol-Version": MODERN, "Accept": "text/html"}).status_code == 406


def test_a_notification_is_taken_and_dropped(ana: Host) -> None:
    for version in (MODERN, LEGACY):
        message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert ana.post(message, {"MCP-Protocol-Version": version}).status_code == 202


def test_the_door_is_asked_under_the_names_and_by_the_pages_of_the_settings(fleet: Fleet, token: str) -> None:
    _, url = fleet.processes.gateway(
        mcp_hosts=("mcp.example", "127.0.0.1:*"),
        mcp_origins=("https://app.example",),
        public_url="https://own.example/at",
    )
    host = Host(url, token)

    def status(**headers: str) -> int:
        return host.ask("tools/list", headers=headers).status_code

    assert status() == 200
    assert status(Host="mcp.example") == 200
    assert status(Host="evil.example") == 421
    assert status(Host="mcp.example:81") == 421
    assert status(Host="127.0.0.1:evil") == 421
    assert status(Origin="https://app.example") == 200
    assert status(Origin="https://own.example") == 200
    for origin in ("https://evil.example", "http://app.example", "https://app.example.evil", "null"):
        assert status(Origin=origin) == 403


def test_any_name_will_do_where_none_is_set_and_pages_of_others_will_not(ana: Host) -> None:
    assert ana.ask("tools/list", headers={"Host": "any.example"}).status_code == 200
    assert ana.ask("tools/list", headers={"Origin": "https://any.example"}).status_code == 403
    assert ana.ask("tools/list", headers={"Origin": "http://127.0.0.1:8000"}).status_code == 200


def test_without_authentication_this_machine_is_served_and_no_page_of_another_site(fleet: Fleet, door: Gateway) -> None:
    _, url = fleet.processes.gateway(gateway_auth="off")
    host = Host(url)
    assert host.call("repeats", {"text": "a"})["content"][0]["text"] == "a"
    assert host.ask("tools/list", headers={"Host": "evil.example"}).status_code == 403
    assert host.ask("tools/list", headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_refused_call_is_audited(door: Gateway) -> None:
    host = Host(door.url, door.client.create_key(tenant="acme", subject="mallory", scopes=["tasks:read"]).key)
    host.ask("tools/call", {"name": "laborious"})
    (entry,) = door.client.audit(subject="mallory", door="mcp")
    assert (entry.operation, entry.answer, entry.target) == ("submit", "permission_denied", "laborious")


def test_hosts_of_the_revision_before_say_hello_first(ana: Host) -> None:
    message = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }  # fmt: skip
    answer = ana.post(message)
    assert answer.status_code == 200
    assert f'"protocolVersion":"{LEGACY}"' in answer.text
    assert TASKS in answer.text
