"""Functions and errors in every form, run by a real worker."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent_tasks import AgentTasks, InvalidInput
from tests.conftest import fresh_deployment
from tests.processes import Processes


@pytest.fixture(scope="module")
def client(
    server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentTasks]:
    """Of a deployment whose worker has these agents."""
    with fresh_deployment(server_urls, template) as settings:
        client = AgentTasks(settings)
        with Processes(settings, tmp_path_factory.mktemp("functions")) as processes:
            agents = ("tests.agents_functions",)
            processes.fleet(agents=agents)
            yield client
        client.close()


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("wrapped-step", 4),
        ("calls-from-plain", [4, 3]),
        ("calls-from-async", [4, 3]),
        ("methods", "small"),
        ("decorated", "end"),
    ],
)
def test_a_function_runs_however_it_is_written(client: AgentTasks, name: str, result: Any) -> None:
    assert client.submit(name).result(timeout=30) == result


@pytest.mark.parametrize("name", ["grouped", "broken-text", "async-exit", "plain-exit"])
def test_an_error_that_retry_names_is_tried_again_however_it_is_raised(client: AgentTasks, name: str) -> None:
    assert client.submit(name).result(timeout=30) == 2


def test_a_plain_step_that_returns_a_coroutine_says_what_it_should_be(client: AgentTasks) -> None:
    with pytest.raises(InvalidInput, match="async def"):
        client.submit("forgets-async").result(timeout=30)
