"""The commands of docs/http.md, run as they stand there, and what the page says of them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from agent_tasks import AgentTasks, Settings
from agent_tasks.gateway.application import create_app
from agent_tasks.gateway.operations import OPERATIONS
from tests.conftest import Fleet
from tests.database import query
from tests.documents import ROOT, blocks, write_module
from tests.eventually import eventually
from tests.gateway import EVERYTHING

PAGE = "docs/http.md"


@dataclass
class Said:
    """What one of the page's blocks printed: answers with their heads (`curl -i`), or bodies alone."""

    text: str

    def json(self) -> Any:
        return json.loads(self.text)

    def answers(self) -> list[tuple[int, dict[str, str], str]]:
        """Status, headers and body of each answer that came with its head."""
        found: list[tuple[int, dict[str, str], str]] = []
        for part in re.split(r"HTTP/1\.1 (?=\d{3} )", self.text)[1:]:
            head, _, body = part.partition("\n\n")
            first, *lines = head.splitlines()
            headers = dict(line.lower().split(": ", 1) for line in lines)
            found.append((int(first.split()[0]), headers, body))
        return found

    def answer(self) -> tuple[int, dict[str, str], str]:
        (answer,) = self.answers()
        return answer


@dataclass
class Reader:
    """Somebody who tries the page's commands, one block after the other."""

    client: AgentTasks
    url: str
    home: Path
    blocks: list[str] = field(default_factory=lambda: blocks(PAGE, "bash"))
    id: str = ""
    hook: str = ""

    def run(self, beginning: str) -> Said:
        """Run the page's next block, which must begin like this."""
        block = self.blocks.pop(0)
        assert block.startswith(beginning), block
        environment = {**os.environ, "URL": self.url, "ID": self.id, "HOOK": self.hook, "CURL_HOME": str(self.home)}
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], env=environment, capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 0, f"{block}\n{ran.stdout}\n{ran.stderr}"
        return Said(ran.stdout.replace("\r\n", "\n"))


@pytest.fixture(scope="module")
def documented(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A worker with the agents of docs/agents.md; returns the folder of its module."""
    folder = tmp_path_factory.mktemp("documented")
    environment = fleet.processes.environment(agents=(write_module("docs/agents.md", folder),), queue="documented")
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(folder)])
    argv = [sys.executable, "-m", "celery", "-A", "workers", "worker", "-n", "documented@test", "-l", "INFO"]
    worker = fleet.processes.start("documented", argv, environment)
    eventually(lambda: "documented@test ready" in worker.output)
    return folder


@pytest.fixture(params=["off", "on"])
def reader(request: pytest.FixtureRequest, fleet: Fleet, documented: Path, tmp_path: Path) -> Iterator[Reader]:
    """Without authentication, as with `agent-tasks dev`; and with a token, which curl takes from its own settings."""
    auth: Literal["off", "on"] = request.param
    running, url = fleet.processes.gateway(gateway_auth=auth, agents=(), queue="documented")
    if auth == "on":
        key = fleet.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING).key
        (tmp_path / ".curlrc").write_text(f'header = "Authorization: Bearer {key}"\n')
    yield Reader(fleet.client, url, tmp_path)
    running.kill()


def test_the_commands_of_the_page_do_what_it_says(reader: Reader, request: pytest.FixtureRequest) -> None:
    approved_by = "ana" if "on" in request.node.name.partition("[")[2] else None

    status, headers, body = reader.run("curl -si $URL/tasks ").answer()
    task = json.loads(body)
    reader.id = task["id"]
    assert (status, headers["location"], headers["retry-after"]) == (202, f"/tasks/{task['id']}", "1")
    assert headers["etag"] == f'"{task["version"]}"'
    assert task["status"] in ("pending", "running")
    assert (task["metadata"], task["mode"]) == ({"ticket": 7}, "async")

    handle = reader.client.get(task["id"])
    eventually(lambda: handle.snapshot().status == "waiting")
    streamed = events_of(reader.run("curl -sN --max-time 2"))
    assert [name for _, name in streamed if name in ("committed", "waiting")] == ["committed", "committed", "waiting"]
    assert [number for number, _ in streamed] == list(range(1, len(streamed) + 1))

    (waiting,) = reader.run('curl -s "$URL/waiting').json()["tasks"]
    assert (waiting["id"], waiting["waiting_for"]["name"]) == (task["id"], "approval")
    assert reader.run("curl -s $URL/tasks/$ID/signals/approval").json()["delivered"] is True

    status, headers, body = reader.run("curl -si $URL/tasks/$ID/result").answer()
    result = {"text": "Text on Text on an outline of tides", "approved_by": approved_by}
    assert (status, json.loads(body)) == (200, result)
    assert reader.run("curl -s -X POST $URL/tasks/$ID/acknowledge").json()["acknowledged_at"]

    status, headers, body = reader.run("curl -si $URL/tasks ").answer()
    counted = json.loads(body)
    assert (status, headers["preference-applied"]) == (200, "wait=10")
    assert (counted["status"], counted["result"], counted["mode"]) == ("completed", 3, "sync")
    assert counted["mode_reason"] == "the request prefers wait=10"

    first = reader.run("curl -s $URL/tasks ")
    assert first.json()["agent"] == "ask"

    status, headers, body = reader.run("curl -si $URL/tasks/$ID -H 'If-None-Match").answer()
    assert (status, json.loads(body)["id"], "retry-after" in headers) == (200, task["id"], False)

    assert_events_after(3, reader)
    assert_answered_from_outside(reader)
    assert_cancelled(reader)

    (newest,) = reader.run('curl -s "$URL/tasks?').json()["tasks"]
    assert newest["id"] == task["id"]
    assert reader.run('curl -s "$URL/tasks?error_type').json() == {"tasks": [], "next": None}
    assert {spent["agent"] for spent in reader.run('curl -s "$URL/spend').json()["spend"]} == {"writer"}
    cancels = reader.run('curl -s "$URL/audit').json()["entries"]
    assert [entry["data"] for entry in cancels if entry["door"] == "http"] == [{"reason": "not needed"}]
    assert reader.run('curl -s "$URL/tasks/$ID/logs').json() == {"logs": [], "next": 0}
    assert_schedule(reader)
    agents = {agent["name"]: agent for agent in reader.run("curl -s $URL/agents").json()["agents"]}
    assert agents["writer"]["input_schema"]["required"] == ["topic"]

    status, headers, body = reader.run("curl -si $URL/tasks ").answer()
    problem = json.loads(body)
    assert (status, headers["content-type"]) == (422, "application/problem+json")
    assert set(problem) == {"type", "title", "status", "detail", "field", "error"}
    assert (problem["status"], problem["error"]["type"]) == (422, "invalid_input")
    assert "topic" in problem["field"]
    assert reader.blocks == []


def events_of(said: Said) -> list[tuple[int, str]]:
    """Number and type of each event in a stream."""
    return [(int(number), name) for number, name in re.findall(r"^id: (\d+)\nevent: (\w+)\n", said.text, re.MULTILINE)]


def assert_events_after(seen: int, reader: Reader) -> None:
    stream = reader.run("curl -sN $URL/tasks/$ID/events")
    streamed = events_of(stream)
    assert [number for number, _ in streamed] == list(range(seen + 1, seen + 1 + len(streamed)))
    assert streamed[-1][1] == "finished"
    assert stream.text.endswith("event: end\ndata: {}\n\n")
    page = reader.run('curl -s "$URL/tasks/$ID/events?').json()
    assert [event["seq"] for event in page["events"]] == [seen + 1, seen + 2]
    assert page["next"] == seen + 2


def assert_cancelled(reader: Reader) -> None:
    said = reader.run("CANCELLED=$(curl")
    cancelled, _ = json.JSONDecoder().raw_decode(said.text)
    (failed, _, problem), (resumed, headers, task) = said.answers()
    assert (cancelled["status"], cancelled["error"]["details"]["reason"]) == ("cancelled", "not needed")
    assert (failed, json.loads(problem)["error"]["type"]) == (424, "cancelled")
    again = json.loads(task)
    assert (resumed, headers["location"]) == (202, f"/tasks/{again['id']}")
    assert (again["resumed_from"], again["budget"]["limit"]["seconds"]) == (cancelled["id"], 60)
    reader.client.get(again["id"]).cancel("the page says no more of it")


def assert_schedule(reader: Reader) -> None:
    said = reader.run("curl -s -X PUT $URL/schedules/news")
    put, end = json.JSONDecoder().raw_decode(said.text)
    looked_at, _ = json.JSONDecoder().raw_decode(said.text[end:])
    assert put == looked_at
    assert (put["name"], put["agent"], put["timezone"]) == ("news", "ask", "Europe/Berlin")
    ((status, _, _),) = said.answers()
    assert status == 204


def assert_answered_from_outside(reader: Reader) -> None:
    task = reader.client.submit("publisher", {"text": "tides"}, queue="documented")
    eventually(lambda: task.stored().status == "waiting")
    (made,) = query(reader.client, "SELECT url FROM agent_tasks.hooks WHERE task_id = %s", task.id)
    reader.hook = made["url"].replace(reader.client.settings.public_url, reader.url)
    asked, answered = map(json.loads, reader.run("curl -s $HOOK ").text.replace("}{", "}\n{").splitlines())
    assert (asked["signal"], asked["agent"], asked["waiting"]) == ("decision", "publisher", True)
    assert answered["delivered"] is True
    assert task.result(20) == "tides"


def test_the_table_of_the_page_has_each_operation_with_its_scope(settings: Settings) -> None:
    table = table_of("## All operations")
    rows = {path: scope for paths, _, scope in table for path in re.findall(r"`([A-Z]+ [^`]+)`", paths)}
    for path, operations in served(settings).items():
        for method, operation in operations.items():
            known = OPERATIONS.get(operation["operationId"])
            scope = f"`{known.scope}`" if known else "no token"
            assert rows.pop(f"{method.upper()} {path}") == scope
    assert rows == {"GET /openapi.json": "no token"}


def test_the_statuses_of_the_page_are_those_that_operations_answer(settings: Settings) -> None:
    documented = {
        int(status)
        for operations in served(settings).values()
        for operation in operations.values()
        for status in operation["responses"]
        if status >= "400"
    }
    told = {int(row[0]) for row in table_of("## Errors")}
    assert told == documented | {
        405,
        431,
        500,
    }  # of no operation: the router's, of a head that is not read, what must not be


def served(settings: Settings) -> dict[str, Any]:
    """The paths of the OpenAPI document."""
    return create_app(AgentTasks(settings)).openapi()["paths"]


def table_of(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    text = (ROOT / PAGE).read_text(encoding="utf-8").split(f"{heading}\n", 1)[1]
    lines = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert lines is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()[2:]]
