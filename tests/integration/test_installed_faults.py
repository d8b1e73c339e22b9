"""Where our part in a worker of theirs cannot begin, or go on, one line says why, and their tasks go on."""

from pathlib import Path
from typing import Any

import pytest

from agent_tasks import AgentTasks
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes
from tests.proxy import Proxy, through
from tests.shop_processes import begin, shop

OFF = "no steps are run here, the app's own tasks are: "
NOTHING = {"AGENT_TASKS_DATABASE_URL": "", "AGENT_TASKS_REDIS_URL": "", "AGENT_TASKS_DATA_DIR": "/nowhere"}


@pytest.mark.parametrize(
    ("pool", "environment", "said"),
    [
        ("threads", NOTHING, "AGENT_TASKS_DATABASE_URL is not set"),
        ("threads", {"AGENT_TASKS_AGENTS": "tests.no_such"}, "AGENT_TASKS_AGENTS names tests.no_such, which does not"),
        ("prefork", {"SHOP_TAKES": "shop_orders.bill"}, "a task of its own that is named shop_orders.bill"),
        ("solo", {}, "its pool is solo: start it with -P prefork, -P threads or -P gevent"),
    ],
)
def test_our_part_stays_off_and_their_tasks_go_on(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str, environment: dict[str, str], said: str
) -> None:
    worker = begin(processes, client.settings, "-P", pool, "--without-mingle", **environment)
    with shop(client.settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.invoice", [str(tmp_path), 7])
        assert sent.get(timeout=20) == "invoice 7"
    lines = [line for line in worker.output.splitlines() if OFF in line]
    assert len(lines) == 1
    assert said in lines[0]
    assert "ERROR" in lines[0]
    assert "Traceback" not in worker.output
    worker.send(15)
    assert worker.wait_for_exit() == 0


def test_steps_begin_when_postgres_comes_and_their_tasks_did_not_wait_for_it(
    client: AgentTasks, processes: Processes, proxy: Proxy, tmp_path: Path
) -> None:
    there, proxy.target = proxy.target, "/nowhere"
    url = through(client.settings.database_url, proxy)
    worker = begin(processes, client.settings, "-P", "threads", "--without-mingle", AGENT_TASKS_DATABASE_URL=url)
    eventually(lambda: "takes no steps: Postgres cannot be reached" in worker.output)
    with shop(client.settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.invoice", [str(tmp_path), 7])
        assert sent.get(timeout=20) == "invoice 7"
    proxy.target = there
    eventually(lambda: "takes steps" in worker.output)
    task = client.submit("shop_orders", {"folder": str(tmp_path), "order": 1})
    assert task.result(timeout=20) == 1
    assert "invoice 7" in notes(tmp_path)
