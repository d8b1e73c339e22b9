"""The gateway as a process, asked over HTTP by callers with keys of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from agent_tasks import AgentTasks
from tests.processes import Processes, Running

Answer = httpx2.Response
EVERYTHING = ("tasks:write", "tasks:read", "tasks:signal", "tasks:cancel")


@dataclass
class Caller:
    """Somebody with a token, or without one, at one gateway."""

    http: httpx2.Client

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        return self.http.request(method, path, **options)

    def get(self, path: str, **options: Any) -> Answer:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.ask("POST", path, **({} if body is None else {"json": body}), **options)

    def submit(self, agent: str, input: Any = None, **more: Any) -> dict[str, Any]:
        """The snapshot of a task that was accepted."""
        answer = self.post("/tasks", {"agent": agent, "input": input or {}, **more})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def result(self, task_id: str, seconds: int = 20) -> Any:
        answer = self.get(f"/tasks/{task_id}/result", headers={"Prefer": f"wait={seconds}"})
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class Gateway:
    """A gateway process and those who ask it."""

    client: AgentTasks
    processes: Processes
    running: Running
    url: str
    callers: list[Caller] = field(default_factory=list[Caller])

    def caller(
        self,
        subject: str | None = "ana",
        tenant: str = "acme",
        scopes: Sequence[str] = EVERYTHING,
        *,
        token: str | None = None,
        url: str | None = None,
    ) -> Caller:
        """Who has a new key of this identity, or this token, or none at all where `subject` is None."""
        if token is None and subject is not None:
            token = self.client.create_key(tenant=tenant, subject=subject, scopes=scopes).key
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        made = Caller(httpx2.Client(base_url=url or self.url, headers=headers, timeout=70))
        self.callers.append(made)
        return made

    def close(self) -> None:
        for caller in self.callers:
            caller.http.close()


def problem_of(answer: Answer, status: int) -> dict[str, Any]:
    """The problem document of an answer that must have this status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["detail"]
    assert document["error"]["message"] == document["detail"]
    return document
