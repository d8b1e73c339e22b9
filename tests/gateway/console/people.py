"""People with browsers that keep cookies, and tasks for them to look at."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from agent_tasks import Identity
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Answer, Gateway

ANA = Identity(subject="ana", tenant="acme")
AGENTS = ("tests.agents_console",)


@dataclass
class Person:
    """Somebody with a browser that keeps cookies."""

    http: httpx2.Client

    def sees(self, path: str = "", status: int = 200) -> str:
        answer = self.http.get(f"/console{path}")
        assert answer.status_code == status, answer.text
        return answer.text

    def sends(self, path: str, page: str, **fields: str) -> Answer:
        """A form of a page, with its token."""
        found = re.search(r'name="form_token" value="([^"]*)"', page)
        return self.http.post(f"/console{path}", data={"form_token": found[1] if found else "", **fields})

    def follows(self, path: str) -> "Iterator[str]":
        """The events of a page's stream, each as it came."""
        with self.http.stream("GET", f"/console{path}", timeout=30) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            event: list[str] = []
            for line in answer.iter_lines():
                if line:
                    event.append(line)
                elif event:
                    yield "\n".join(event)
                    event = []


def person(gateway: Gateway, subject: str = "ana", tenant: str = "acme", scopes: Any = EVERYTHING) -> Person:
    key = gateway.client.create_key(tenant=tenant, subject=subject, scopes=scopes).key
    http = httpx2.Client(base_url=gateway.url, follow_redirects=False, timeout=20)
    answer = http.post("/console/sign-in", data={"key": key, "next": "/tasks"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/tasks"), answer.text
    return Person(http)


def waiting(gateway: Gateway, topic: str = "tides", **options: Any) -> Any:
    task = gateway.client.submit("columnist", {"topic": topic}, identity=options.pop("identity", ANA), **options)
    eventually(lambda: task.read().status == "waiting")
    return task


def wait_id(task: Any) -> str:
    found = task.read().waiting_for.wait_id
    assert found
    return found
