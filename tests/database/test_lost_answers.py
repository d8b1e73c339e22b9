"""Answers of Postgres that are lost on their way: what was committed is not committed twice."""

from collections.abc import Iterator

import pytest

from agent_tasks import AgentTasks, Settings
from tests.database import query
from tests.proxy import Proxy, address_of, through


@pytest.fixture
def proxy(settings: Settings) -> Iterator[Proxy]:
    with Proxy(address_of(settings.database_url)) as proxy:
        yield proxy


@pytest.fixture
def far(settings: Settings, proxy: Proxy) -> Iterator[AgentTasks]:
    """A program that reaches Postgres through the proxy."""
    client = AgentTasks(settings.model_copy(update={"database_url": through(settings.database_url, proxy)}))
    yield client
    client.close()


@pytest.mark.parametrize(("key", "answers"), [(None, 1), ("once", 4)])
def test_a_submit_whose_answer_is_lost_is_accepted_once(
    client: AgentTasks, far: AgentTasks, proxy: Proxy, key: str | None, answers: int
) -> None:
    """With a key there is a transaction; the answer to its COMMIT is the fourth."""
    far.submit("echo", {"value": 0})
    proxy.lost_answer = answers
    task = far.submit("echo", {"value": 1}, idempotency_key=key)
    assert proxy.lost_answer == 0
    assert client.get(task.id).snapshot().status == "pending"
    assert query(client, "SELECT count(*) AS n FROM tasks") == [{"n": 2}]
