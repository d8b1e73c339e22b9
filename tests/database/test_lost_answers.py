"""Answers of Postgres that are lost on their way: what was committed is not committed twice."""

import pytest

from agent_tasks import AgentTasks
from tests.database import query
from tests.proxy import Proxy


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
    assert query(client, "SELECT count(*) AS n FROM agent_tasks.tasks") == [{"n": 2}]
