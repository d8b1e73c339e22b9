"""A step that raises is told of: in the log, to Celery's signal, by the command line; never what is sensitive."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTasks, TaskHandle
from tests.agents_failing import HEARD
from tests.conftest import fresh_deployment
from tests.eventually import eventually
from tests.processes import Processes, Running

SECRET = "what nobody may see"


@dataclass
class Failing:
    client: AgentTasks
    worker: Running
    heard: Path

    def fail(self, agent: str, input: Any = None) -> TaskHandle:
        task = self.client.submit(agent, input)
        assert task.wait(timeout=30).status == "failed"
        return task

    def signal_of(self, task: TaskHandle) -> dict[str, Any]:
        """What Celery's failure signal told of the task."""

        def failure() -> dict[str, Any] | None:
            lines = self.heard.read_text().splitlines() if self.heard.exists() else []
            return next((found for found in map(json.loads, lines) if found["task_id"] == str(task.id)), None)

        return eventually(failure)


@pytest.fixture(scope="module")
def failing(server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failing]:
    folder = tmp_path_factory.mktemp("failing")
    with fresh_deployment(server_urls, template) as settings, pytest.MonkeyPatch.context() as environment:
        environment.setenv(HEARD, str(folder / "heard"))
        client = AgentTasks(settings)
        with Processes(settings, folder) as processes:
            (worker,) = processes.fleet(agents=("tests.agents_failing",))
            yield Failing(client, worker, folder / "heard")
        client.close()


@pytest.mark.parametrize("name", ["divides", "divides-plainly"])
def test_an_unexpected_error_reaches_the_log_celery_and_the_caller_with_its_traceback(
    failing: Failing, name: str
) -> None:
    task = failing.fail(name)
    heard = failing.signal_of(task)
    assert (heard["sender"], heard["exception"]) == (
        f"{name}.{name.replace('-', '_')}",
        "ZeroDivisionError('division by zero')",
    )
    (line,) = [line for line in failing.worker.output.splitlines() if "step failed" in line and str(task.id) in line]
    assert "ERROR" in line
    assert "ZeroDivisionError: division by zero" in line
    for text in (heard["traceback"], task.traceback(), failing.worker.output):
        assert text is not None
        assert "in deep_down" in text


def test_what_will_recur_is_not_to_be_resumed_as_it_is(failing: Failing) -> None:
    error = failing.fail("divides").stored().error
    assert error is not None
    assert error.suggested_action == "escalate"


def test_of_a_sensitive_agent_only_the_type_and_the_place_are_told(failing: Failing) -> None:
    task = failing.fail("hides", {"secret": SECRET})
    heard = failing.signal_of(task)
    assert "ValueError" in heard["exception"]
    assert "in deep_down" in heard["traceback"]
    assert SECRET not in json.dumps(heard)
    assert "in deep_down" in failing.worker.output
    assert SECRET not in failing.worker.output


def test_a_typed_error_that_a_step_raises_is_a_warning(failing: Failing) -> None:
    task = failing.fail("refuses")
    failing.signal_of(task)
    (line,) = [line for line in failing.worker.output.splitlines() if "step failed" in line and str(task.id) in line]
    assert "WARNING" in line
    assert "in refuses" in (task.traceback() or "")


def test_a_step_that_will_be_tried_again_is_told_of_and_no_failure(failing: Failing) -> None:
    task = failing.client.submit("recovers")
    assert task.result(timeout=30) == "well"
    assert task.traceback() is None
    line = next(line for line in failing.worker.output.splitlines() if "tried again" in line and str(task.id) in line)
    assert "ConnectionError: once" in line
    assert str(task.id) not in (failing.heard.read_text() if failing.heard.exists() else "")
