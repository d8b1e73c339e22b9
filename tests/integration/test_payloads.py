"""What steps are given of what was written, at first and on repeat, by a real worker."""

from collections.abc import Iterator

import pytest

from agent_tasks import AgentTasks, InvalidInput, StepFailed
from agent_tasks.authoring import agent as agents
from tests.agents_payloads import NUMBERS, PRICES
from tests.conftest import fresh_deployment
from tests.database import query
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


def test_a_default_that_is_made_anew_is_the_same_for_each_try_also_of_a_caller_without_the_code(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.delitem(agents._registry, "stamped")
        task = client.submit("stamped", {"request": {"q": "why"}})
    number = task.result(timeout=30)
    assert [event.data for event in task.events() if event.type == "seen"] == [number]


def test_models_with_aliases_arrive_as_input_as_state_and_from_calls(client: AgentTasks) -> None:
    task = client.submit("aliased", {"order": {"orderNumber": 7, "orderLine": 2}})
    assert task.result(timeout=30) == [[7, 2], [8, 2], [9, 2]]


def test_a_call_whose_outcome_would_be_masked_is_not_recorded_as_completed(client: AgentTasks) -> None:
    task = client.submit("masked-outcome")
    with pytest.raises(StepFailed, match="secret"):
        task.result(timeout=30)
    assert query(client, "SELECT status FROM agent_tasks.calls WHERE task_id = %s", task.id) == [{"status": "failed"}]


def test_a_state_that_would_lose_a_field_is_refused_before_it_is_committed(client: AgentTasks) -> None:
    task = client.submit("lost-field")
    with pytest.raises(InvalidInput, match=r"messages\[0\]\.tool"):
        task.result(timeout=30)
    assert query(client, "SELECT FROM agent_tasks.checkpoints WHERE task_id = %s", task.id) == []
