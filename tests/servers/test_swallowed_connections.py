"""A network between the system and Postgres that loses answers, or whole connections, without a word."""

from time import monotonic

from agent_tasks import AgentTasks, Settings
from tests.database import query
from tests.processes import Processes
from tests.proxy import Proxy, through


def test_a_statement_on_a_swallowed_connection_is_given_up_and_made_again(
    client: AgentTasks, far: AgentTasks, proxy: Proxy
) -> None:
    far.submit("echo", {"value": 0})
    proxy.swallow_what_is_open()
    begun = monotonic()
    task = far.submit("echo", {"value": 1})
    assert client.get(task.id).snapshot().status == "pending"
    assert monotonic() - begun < 20


def test_a_slow_statement_is_not_taken_for_one_that_nobody_answers(far: AgentTasks) -> None:
    assert query(far, "SELECT 1 AS n FROM (SELECT pg_sleep(9)) AS slept") == [{"n": 1}]


def test_a_worker_goes_on_after_its_connections_were_swallowed(
    client: AgentTasks, settings: Settings, proxy: Proxy, processes: Processes
) -> None:
    processes.worker(database_url=through(settings.database_url, proxy))
    processes.sweeper()
    processes.beat()
    assert client.submit("echo", {"value": 1}).result(timeout=20) == 1
    proxy.swallow_what_is_open()
    assert client.submit("echo", {"value": 2}).result(timeout=30) == 2
