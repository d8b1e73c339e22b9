"""An AgentCore runtime as its platform meets it: a gateway with the settings of one, and sessions that invoke it."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx2

from agent_tasks import AgentTasks, TaskHandle
from tests.eventually import eventually
from tests.gateway import Answer
from tests.processes import Processes, Running

AGENTS = "tests.agents_agentcore"
HEADER = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"


def new_session() -> str:
    return f"session-{uuid4()}"


@dataclass
class Runtime:
    """One gateway; `session` names whose invocations these are."""

    client: AgentTasks
    running: Running
    url: str
    http: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx2.Client(base_url=self.url, timeout=70)

    def invoke(self, payload: Any, session: str | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if session is not None:
            named[HEADER] = session
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.http.post("/invocations", content=body, headers=named)

    def start(self, session: str, **payload: Any) -> str:
        """The id of a task that an invocation has started."""
        answer = self.invoke(payload, session)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert said["session_id"] == session
        assert said["status"] in ("pending", "running"), said
        return said["task_id"]

    def ping(self) -> tuple[str, int]:
        answer = self.http.get("/ping")
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert set(said) == {"status", "time_of_last_update"}
        assert type(said["time_of_last_update"]) is int
        return said["status"], said["time_of_last_update"]

    def becomes(self, status: str) -> int:
        """Wait for a status; returns the time of its beginning."""
        return eventually(lambda: ping[1] if (ping := self.ping())[0] == status else None)

    def task(self, id: str) -> TaskHandle:
        return self.client.get(UUID(id))

    def waiting(self, id: str) -> TaskHandle:
        """The task, once it waits for its signal."""
        task = self.task(id)
        eventually(lambda: task.stored().status == "waiting")
        return task

    def end(self, id: str) -> None:
        """Let a task that waits go on to its end."""
        task = self.waiting(id)
        task.signal("go")
        task.wait(20)


def start_runtime(client: AgentTasks, processes: Processes, **settings: Any) -> Runtime:
    running, url = processes.gateway(agentcore_agent="invoked", agents=(AGENTS,), **settings)
    return Runtime(client, running, url)
