"""Sensitive agents on real processes: what they have seen is in no log, in no history, nowhere in Redis."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import tests.agents_sensitive  # noqa: F401
from agent_tasks import AgentTasks, TaskHandle
from tests.agents_sensitive import HEARD
from tests.conftest import fresh_deployment
from tests.database import query
from tests.eventually import eventually
from tests.processes import Processes

SECRET = "SSN-078-05-1120"


@dataclass
class Hiding:
    client: AgentTasks
    processes: Processes
    heard: Path

    def end(self, agent: str, **input: Any) -> TaskHandle:
        task = self.client.submit(agent, {"secret": SECRET, **input})
        if input.get("how") == "wait":
            task.signal("answer", {"text": SECRET})
        assert task.wait(timeout=30).status == "failed"
        return task

    def output(self) -> str:
        """All that the processes have logged, and what Celery's failure signal has sent."""
        logs = "\n".join(process.output for process in self.processes.all)
        return logs + (self.heard.read_text() if self.heard.exists() else "")


@pytest.fixture(scope="module")
def hiding(server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hiding]:
    folder = tmp_path_factory.mktemp("hiding")
    with fresh_deployment(server_urls, template) as settings:
        client = AgentTasks(settings)
        with Processes(settings, folder) as processes, pytest.MonkeyPatch.context() as environment:
            environment.setenv(HEARD, str(folder / "heard"))
            processes.fleet(agents=("tests.agents_sensitive",))
            environment.delenv(HEARD)
            yield Hiding(client, processes, folder / "heard")
        client.close()


@pytest.mark.parametrize(
    ("agent", "how"),
    [
        ("hides_all", "raise"),
        ("hides_all", "call"),
        ("hides_all", "next"),
        ("hides_all", "wait"),
        ("hides_input", None),
        ("hides_failure", None),
        ("tells_of_children", None),
    ],
)
def test_a_failure_of_a_sensitive_agent_is_told_of_without_what_it_says(
    hiding: Hiding, agent: str, how: str | None
) -> None:
    task = hiding.end(agent, **({"how": how} if how else {}))
    failed = next(iter(task.children()), task)
    eventually(lambda: f"task={failed.id} step=" in hiding.output())
    assert SECRET not in hiding.output()
    events = query(hiding.client, "SELECT type, data FROM agent_tasks.events")
    assert [event["type"] for event in events if SECRET in str(event["data"])] == []
    for name in hiding.client.redis.keys("*"):  # type: ignore[union-attr]
        dump = hiding.client.redis.dump(name)
        assert dump is None or SECRET.encode() not in dump, name
    if agent == "hides_all":
        error = task.stored().error
        assert error is not None
        assert SECRET in error.message  # for whom the task is
        assert [undone["error"] for undone in error.details["not_undone"]] == [
            "context_lost (not shown: the agent is sensitive)"
        ]
    if agent == "tells_of_children":
        assert SECRET not in task.stored().model_dump_json()


def test_what_a_sensitive_agent_records_is_told_to_nobody_on_the_way(hiding: Hiding) -> None:
    assert len([line for line in hiding.output().splitlines() if "step failed" in line]) >= 2
    assert "ValueError (not shown: the agent is sensitive)" in hiding.output()
