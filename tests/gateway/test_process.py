"""`agent-tasks gateway` as a process: how it starts, what it says, what it does without servers, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import httpx2
import psycopg
import pytest

from tests.conftest import Fragile
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Caller, Gateway, problem_of
from tests.processes import Processes, Running

OFF = {"gateway_auth": "off"}


def run(processes: Processes, *arguments: str, **settings: Any) -> str:
    """What a gateway says that is not to start."""
    name = f"refused{len(processes.all)}"
    ended = processes.forked("agent_tasks.cli", name, ["gateway", *arguments], processes.environment(**settings))
    assert ended.wait_for_exit() == 2, ended.output
    return ended.output


def refused(said: str) -> str:
    """The one line of a gateway that did not start."""
    (line,) = said.splitlines()
    assert line.startswith("error: ")
    return line


def messages(gateway: Running) -> list[str]:
    return re.findall(r"^\[[^\]]+: [A-Z]+\] (.*)", gateway.output, re.MULTILINE)


@pytest.fixture(scope="module")
def local(gateway: Gateway) -> Caller:
    """A program on this machine at a gateway without authentication."""
    _, url = gateway.processes.gateway(**OFF)
    return gateway.caller(None, url=url)


# Starting


def test_a_port_that_is_taken_is_told_in_one_line(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(run(gateway.processes, "--port", str(port)))
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use. Name another one" in line


def test_without_authentication_it_listens_to_this_machine_only(gateway: Gateway) -> None:
    line = refused(run(gateway.processes, "--host", "0.0.0.0", "--port", "0", **OFF))
    assert "AGENT_TASKS_GATEWAY_AUTH=off serves this machine only, and others may reach 0.0.0.0" in line
    assert "agent-tasks keys create" in line


def test_an_issuer_without_an_audience_is_refused_at_the_start(gateway: Gateway) -> None:
    line = refused(run(gateway.processes, "--port", "0", oidc_issuer="https://login.example"))
    assert "AGENT_TASKS_OIDC_AUDIENCE is not set" in line


def test_without_the_extra_it_says_what_to_install(gateway: Gateway) -> None:
    code = "import sys; sys.modules['fastapi'] = None; from agent_tasks.cli import main; main()"
    argv = [sys.executable, "-c", code, "gateway"]
    ended = subprocess.run(argv, env=gateway.processes.environment(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2, ended.stderr
    assert "pip install 'agent-tasks[http]'" in refused(ended.stderr)


def test_the_command_line_and_the_package_load_no_web_framework() -> None:
    code = "import agent_tasks, agent_tasks.cli.application, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"fastapi", "starlette", "uvicorn", "joserfc", "httpx2", "alembic", "sqlalchemy"} & set(loaded)


def test_a_module_that_does_not_load_is_told_and_what_workers_have_registered_is_served(gateway: Gateway) -> None:
    running, url = gateway.processes.gateway(agents=("nowhere_at_all",))
    assert any("agents left out, nowhere_at_all does not load" in line for line in messages(running))
    ana = gateway.caller(url=url)
    assert ana.result(ana.submit("count", {"to": 2})["id"]) == 2


def test_localhost_is_served_at_each_of_its_addresses_on_one_port(gateway: Gateway) -> None:
    running, url = gateway.processes.gateway("--host", "localhost", **OFF)
    port = httpx2.URL(url).port
    found = socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)
    for host in ["localhost", *(f"[{at[0]}]" if family == socket.AF_INET6 else at[0] for family, *_, at in found)]:
        assert httpx2.get(f"http://{host}:{port}/agents").status_code == 200
    running.kill()


# Without authentication


def test_a_program_on_this_machine_is_trusted(local: Caller) -> None:
    task = local.submit("count", {"to": 2})
    assert task["identity"] is None
    assert local.result(task["id"]) == 2


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Host": "evil.example:8000"}, "host"),
        ({"Origin": "https://evil.example"}, "origin"),
        ({"Origin": "null"}, "origin"),
        ({"X-Forwarded-For": "10.0.0.7"}, "the client"),
    ],
)
def test_a_page_of_another_site_can_use_nothing(local: Caller, headers: dict[str, str], field: str) -> None:
    path = f"/tasks/{local.submit('approval', {})['id']}"
    for method, at in (("GET", path), ("POST", f"{path}/cancel"), ("GET", "/agents"), ("GET", f"{path}/events")):
        assert problem_of(local.ask(method, at, headers=headers), 403)["field"] == field
    body = {"agent": "count", "input": {"to": 1}}
    document = problem_of(local.post("/tasks", body, headers=headers), 403)
    assert document["type"] == "urn:agent-tasks:problem:not_local"
    assert local.get(path).json()["status"] != "cancelled"
    assert local.get("/healthz", headers=headers).status_code == 200


def test_with_authentication_the_token_decides_whatever_the_host_and_the_origin(ana: Caller) -> None:
    headers = {"Host": "tasks.acme.example", "Origin": "https://acme.example"}
    assert ana.get("/agents", headers=headers).status_code == 200


# Health


def test_it_starts_without_servers_and_serves_as_soon_as_they_are_there(fragile: Fragile) -> None:
    fragile.processes.fleet()
    token = fragile.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING).key
    for server in (fragile.servers.postgres, fragile.servers.valkey):
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
    running, url = fragile.processes.gateway()
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        assert http.get("/healthz").status_code == 200
        away = http.get("/readyz")
        assert (away.status_code, away.json()["status"]) == (503, "unavailable")
        assert "ok" not in away.json()["checks"].values()
        problem_of(http.post("/tasks", json={"agent": "count", "input": {"to": 1}}), 503)
        fragile.servers.postgres.start()
        checks = {"postgres": "ok", "redis": "cannot be reached", "schema": "ok"}
        eventually(lambda: http.get("/readyz").json()["checks"] == checks, 30)
        task = http.post("/tasks", json={"agent": "count", "input": {"to": 1}})
        assert task.status_code == 202, task.text
        fragile.servers.valkey.start()
        eventually(lambda: http.get("/readyz").status_code == 200, 30)
        result = http.get(f"/tasks/{task.json()['id']}/result", headers={"Prefer": "wait=20"})
        assert (result.status_code, result.json()) == (200, 1)
    assert "Traceback" not in running.output


def test_a_schema_that_is_not_at_head_is_not_ready(processes: Processes) -> None:
    _, url = processes.gateway()
    with psycopg.connect(processes.settings.database_url) as connection:
        connection.execute("UPDATE agent_tasks.agent_tasks_version SET version_num = '0001'")
    answer = httpx2.get(f"{url}/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "postgres": "ok",
        "redis": "ok",
        "schema": "not at head: run agent-tasks migrate",
    }


def test_metrics_count_requests_by_operation_and_status(gateway: Gateway) -> None:
    _, url = gateway.processes.gateway()
    ana, admin = gateway.caller(url=url), gateway.caller(scopes=["admin"], url=url)
    task = ana.submit("approval", {})
    ana.get("/tasks/nothing")
    ana.get(f"/made/up/{task['id']}")
    ana.post(f"/tasks/{task['id']}/no-such-thing")
    problem_of(ana.get("/metrics"), 403)

    def value(sample: str) -> float:
        found = re.search(rf"^agent_tasks_gateway_{re.escape(sample)} (\S+)$", admin.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0

    assert value('requests_total{operation="submit",status="202"}') == 1
    assert value('request_seconds_count{operation="submit"}') == 1
    assert value('requests_total{operation="none",status="404"}') == 2
    assert value('requests_total{operation="get_metrics",status="403"}') == 1
    assert value('problems_total{type="no_such_path"}') == 2
    assert value('problems_total{type="permission_denied"}') == 1
    assert task["id"] not in admin.get("/metrics").text
    with ana.http.stream("GET", f"/tasks/{task['id']}/events", headers={"Accept": "text/event-stream"}) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert value("streams_open") == 1
    eventually(lambda: value("streams_open") == 0)


# Ending


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_with_a_line_for_its_start_and_one_for_its_end(gateway: Gateway, number: int) -> None:
    running, url = gateway.processes.gateway()
    ana = gateway.caller(url=url)
    ana.submit("count", {"to": 1})
    running.send(number)
    assert running.wait_for_exit(20) == 0
    assert messages(running) == [f"gateway running on {url} auth=on pid={running.pid}", "gateway ends: requests=0"]
    assert len(running.output.splitlines()) == 2


def test_a_gateway_that_goes_answers_who_waits_and_ends_streams(gateway: Gateway) -> None:
    running, url = gateway.processes.gateway()
    ana = gateway.caller(url=url)
    task = ana.submit("approval", {})
    answers: list[Any] = []
    wait = {"headers": {"Prefer": "wait=60"}}
    waiting = threading.Thread(target=lambda: answers.append(ana.get(f"/tasks/{task['id']}/result", **wait)))
    other = gateway.caller(url=url)
    with other.http.stream("GET", f"/tasks/{task['id']}/events", headers={"Accept": "text/event-stream"}) as stream:
        lines = stream.iter_lines()
        next(lines)
        waiting.start()
        admin = gateway.caller(scopes=["admin"], url=url)
        eventually(lambda: 'operation="get_metrics"' in admin.get("/metrics").text)
        running.send(signal.SIGTERM)
        assert "event: end" not in list(lines)
    waiting.join(20)
    assert (answers[0].status_code, answers[0].json()["id"]) == (202, task["id"])
    assert running.wait_for_exit(20) == 0


def test_a_request_under_way_is_finished_before_a_gateway_goes(gateway: Gateway) -> None:
    running, url = gateway.processes.gateway()
    token = gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING).key
    body = json.dumps({"agent": "count", "input": {"to": 1}}).encode()
    head = (
        f"POST /tasks HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nExpect: 100-continue\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", httpx2.URL(url).port or 0), timeout=20) as connection:
        connection.sendall(head.encode())
        assert b"100 Continue" in connection.recv(1000)  # it has been let in, and its body is waited for
        running.send(signal.SIGTERM)
        eventually(lambda: "gateway ends: requests=1" in running.output)
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 202"), answer
    assert running.wait_for_exit(20) == 0


def test_two_gateways_serve_one_deployment(gateway: Gateway, ana: Caller) -> None:
    _, url = gateway.processes.gateway()
    other = gateway.caller(url=url)
    task = ana.submit("count", {"to": 2})
    assert other.result(task["id"]) == 2
