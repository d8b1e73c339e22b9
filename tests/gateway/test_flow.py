"""The whole flow of a task by curl, and by Node's fetch."""

import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.documents import ROOT
from tests.gateway import EVERYTHING, Gateway


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


class Curl:
    """Somebody who has curl and a token."""

    def __init__(self, url: str, token: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.arguments = ["curl", "-s", "--max-time", "70", "-H", f"Authorization: Bearer {token}"]

    def ask(self, expected: int, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        head, text = self.folder / "head", self.folder / "body"
        text.unlink(missing_ok=True)
        arguments = [*self.arguments, "-X", method, "-D", str(head), "-o", str(text), self.url + path]
        if body is not None:
            arguments += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        for name, value in headers.items():
            arguments += ["-H", f"{name.replace('_', '-')}: {value}"]
        subprocess.run(arguments, check=True)
        first, *lines = head.read_text().strip().splitlines()
        said = text.read_text() if text.exists() else ""
        assert int(first.split()[1]) == expected, f"{method} {path}: {said}"
        return Answer(expected, dict(line.lower().split(": ", 1) for line in lines), json.loads(said) if said else None)

    def poll(self, path: str, *states: str) -> Any:
        """The task once its state is one of these: asked for as often as Retry-After says."""
        seen = self.ask(200, "GET", path)
        while seen.body["status"] not in states:
            time.sleep(int(seen.headers["retry-after"]))
            seen = self.ask(200, "GET", path)
        known = self.ask(304, "GET", path, If_None_Match=seen.headers["etag"])
        assert known.body is None
        return seen.body

    def events(self, path: str, after: int = 0) -> Iterator[tuple[int | None, str]]:
        """Number and type of each event, as the stream has them."""
        arguments = [*self.arguments, "-N", self.url + path + "/events", "-H", "Accept: text/event-stream"]
        arguments += ["-H", f"Last-Event-ID: {after}"] if after else []
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            number = None
            for line in running.stdout:
                name, _, value = line.rstrip("\n").partition(": ")
                if name == "id":
                    number = int(value)
                elif name == "event":
                    try:
                        yield number, value
                    except GeneratorExit:
                        running.kill()
                        raise
                elif not line.strip():
                    number = None


@pytest.fixture(scope="module")
def token(gateway: Gateway) -> str:
    return gateway.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING).key


def test_the_whole_flow_by_curl(gateway: Gateway, token: str, tmp_path: Path) -> None:
    curl = Curl(gateway.url, token, tmp_path)
    task = {"agent": "approval", "input": {}}
    submitted = curl.ask(202, "POST", "/tasks", task, Idempotency_Key='"flow-of-curl"')
    again = curl.ask(202, "POST", "/tasks", task, Idempotency_Key="flow-of-curl")
    assert again.body["id"] == submitted.body["id"]
    path = submitted.headers["location"]
    curl.poll(path, "waiting")
    with closing(curl.events(path)) as events:
        before = list(itertools.takewhile(lambda event: event[1] != "waiting", events))

    waiting = curl.ask(200, "GET", "/waiting?kind=signal&agent=approval").body["tasks"]
    assert submitted.body["id"] in [each["id"] for each in waiting]
    signal = {"payload": {"ok": True}, "signal_id": "one"}
    assert curl.ask(200, "POST", f"{path}/signals/approval", signal).body["delivered"] is True
    result = curl.ask(200, "GET", f"{path}/result", Prefer="wait=20").body
    assert result == {"draft": "a draft", "ok": True, "by": "ana"}
    *after, finished, end = curl.events(path, after=len(before))
    assert (finished[1], end) == ("finished", (None, "end"))
    numbers = [number for number, _ in (*before, *after, finished)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert curl.ask(200, "POST", f"{path}/acknowledge").body["acknowledged_at"]

    family = {"family": [{"agent": "approval"}, {"agent": "approval"}]}
    root = curl.ask(202, "POST", "/tasks", {"agent": "foreman", "input": family}).headers["location"]
    curl.poll(root, "waiting")
    assert curl.ask(200, "POST", f"{root}/cancel", {"reason": "enough"}).body["status"] == "cancelled"
    tree = curl.ask(200, "GET", f"{root}/tree").body
    assert [child["snapshot"]["status"] for child in tree["children"]] == ["cancelled", "cancelled"]

    failing = curl.ask(202, "POST", "/tasks", {"agent": "fails", "input": {}})
    failed = curl.ask(424, "GET", f"{failing.headers['location']}/result", Prefer="wait=20")
    assert failed.body["error"]["type"] == "step_failed"
    resumed = curl.ask(202, "POST", f"{failing.headers['location']}/resume", {"budget": {"steps": 9}})
    assert resumed.body["resumed_from"] == failing.body["id"]
    assert curl.poll(resumed.headers["location"], "failed")["budget"]["limit"]["steps"] == 9

    schedule = {"agent": "count", "input": {"to": 1}, "every": 3600.0}
    put = curl.ask(200, "PUT", "/schedules/by-curl", schedule)
    assert curl.ask(200, "GET", "/schedules/by-curl").body == put.body
    curl.ask(204, "DELETE", "/schedules/by-curl")
    curl.ask(404, "DELETE", "/schedules/by-curl")


def test_the_whole_flow_by_the_fetch_of_node(gateway: Gateway, token: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here, whose fetch would be tried")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", version)[0]) < 18:
        pytest.skip(f"node {version.strip()} is too old: fetch came with 18")
    program = ROOT / "tests" / "gateway" / "flow.mjs"
    ran = subprocess.run(
        [node, str(program)],
        env={**os.environ, "URL": gateway.url, "TOKEN": token},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["events"] > 5
