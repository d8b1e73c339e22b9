"""What steps are given of what was written, at first and on repeat, by a real worker."""

from collections.abc import Iterator

import pytest

from agent_tasks import AgentTasks
from tests.agents_payloads import NUMBERS, PRICES
from tests.conftest import fresh_deployment
from tests.processes import Processes


@pytest.fixture(scope="module")
def client(
    server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentTasks]:
    """Of a deployment whose worker has these agents."""
    with fresh_deployment(server_urls, template) as settings:
        client = AgentTasks(settings)
        with Processes(settings, tmp_path_factory.mktemp("payloads")) as processes:
            processes.fleet(agents=("tests.agents_payloads",))
            yield client
        client.close()


@pytest.mark.parametrize("agent", ["order-of-outcome", "order-of-state"])
def test_a_repeated_step_finds_the_keys_of_an_object_in_the_order_of_its_first_try(
    client: AgentTasks, agent: str
) -> None:
    assert client.submit(agent).result(timeout=30) == {item: f"invoice of {item}" for item in PRICES}


def test_numbers_are_the_same_at_first_and_on_repeat(client: AgentTasks) -> None:
    assert client.submit("numbers").result(timeout=30) == [repr(NUMBERS)] * 2
