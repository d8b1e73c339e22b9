"""Where our part in a worker of theirs cannot begin, or go on, one line says why, and their tasks go on."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from agent_tasks import AgentTasks, Settings
from agent_tasks.store.migrations import head, script, upgrade
from tests.databases import database_named
from tests.eventually import eventually
from tests.processes import Processes
from tests.proxy import Proxy, through
from tests.roles import acting_as, role
from tests.shop_processes import begin, shop

OFF = "no steps are run here, the app's own tasks are: "
NOTHING = {"AGENT_TASKS_DATABASE_URL": "", "AGENT_TASKS_REDIS_URL": "", "AGENT_TASKS_DATA_DIR": "/nowhere"}


@pytest.mark.parametrize(
    ("pool", "environment", "said"),
    [
        ("threads", NOTHING, "AGENT_TASKS_DATABASE_URL is not set"),
        ("threads", {"AGENT_TASKS_AGENTS": "tests.no_such"}, "AGENT_TASKS_AGENTS names tests.no_such, which does not"),
        ("threads", {"AGENT_TASKS_AGENTS": "tests.agents_wrong.unknown_name"}, "unknown_name cannot be served"),
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


def test_what_is_wrong_with_the_database_is_said_as_it_changes_and_their_tasks_never_wait_for_it(
    settings: Settings, processes: Processes, proxy: Proxy, tmp_path: Path
) -> None:
    there, proxy.target = proxy.target, "/nowhere"
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {(name := f'empty_{uuid4().hex[:12]}')}".encode())
    url = database_named(settings.database_url, name)
    with (
        role(url) as user,
        psycopg.connect(url, autocommit=True) as owner,
        shop(settings) as theirs,
    ):
        worker = begin(
            processes,
            settings,
            *("-P", "threads", "--without-mingle"),
            AGENT_TASKS_DATABASE_URL=acting_as(user, through(url, proxy)),
        )

        def says(line: str, times: int = 1) -> None:
            eventually(lambda: worker.output.count(line) >= times)
            sent: Any = theirs.send_task("tests.shop.invoice", [str(tmp_path), 7])
            assert sent.get(timeout=20) == "invoice 7"

        says("takes no steps: Postgres cannot be reached")
        proxy.target = there
        says("takes no steps: the database is not migrated; run `agent-tasks migrate`")
        owner.execute("CREATE SCHEMA agent_tasks CREATE TABLE tasks (id int)")
        says("takes no steps: the schema agent_tasks of the database is not of agent-tasks: it holds tasks; rename it")
        owner.execute("DROP SCHEMA agent_tasks CASCADE")
        upgrade(url)
        says(f"takes no steps: the user {user} of the database lacks USAGE of the schema agent_tasks; have its owner")
        set_version = "UPDATE agent_tasks.agent_tasks_version SET version_num = "
        granting, commit, _ = script("head", grant=user).rpartition("COMMIT")
        owner.execute(f"{granting}{set_version}'0022'; {commit}".encode())
        says(f"takes no steps: the database is not migrated: it is at 0022, not {head()}; run `agent-tasks migrate`")
        owner.execute(f"{set_version}'9999'".encode())  # as a newer release does
        says("takes steps")
        client = AgentTasks(settings.model_copy(update={"database_url": url}))
        assert client.submit("hops", {"to": 2}).result(timeout=20) == 2
        proxy.target = "/nowhere"
        proxy.cut()
        says("takes no steps: Postgres cannot be reached", 2)
        task = client.submit("hops", {"to": 3})
        says("takes steps")  # as before: nothing has changed
        proxy.target = there
        assert task.result(timeout=20) == 3
        client.close()
        assert "Traceback" not in worker.output
        worker.kill()


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"SHOP_OPTIONS": json.dumps({"unheard_of": True})}, "producer"),
        ({"AGENT_TASKS_REDIS_URL": "redis://127.0.0.1:1/0"}, "redis"),
    ],
)
def test_steps_run_with_an_option_that_raw_lists_cannot_honour_and_while_the_redis_of_the_status_is_away(
    client: AgentTasks, processes: Processes, tmp_path: Path, environment: dict[str, str], path: str
) -> None:
    ringing = {"AGENT_TASKS_QUANTUM_SECONDS": "0"}  # each step by a bell of the worker's; no sweep rings
    worker = begin(processes, client.settings, "-P", "threads", "--without-mingle", **ringing, **environment)
    with shop(client.settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.path_of_bells")
        assert sent.get(timeout=20) == path
        assert client.submit("hops", {"to": 3}).result(timeout=20) == 3
        sent = theirs.send_task("tests.shop.invoice", [str(tmp_path), 7])
        assert sent.get(timeout=20) == "invoice 7"
    assert "Traceback" not in worker.output


@pytest.mark.parametrize(
    ("environment", "app", "said"),
    [
        ({}, "shop", ""),
        ({}, "second", "install was called on the app 'shop' before, and one process serves one app"),
        ({"SHOP_ALONE": "yes"}, "shop", "was called after the app's worker has started: call it where the app is made"),
    ],
)
def test_install_in_a_worker_that_runs_changes_nothing_and_says_what_to_do(
    client: AgentTasks, processes: Processes, tmp_path: Path, environment: dict[str, str], app: str, said: str
) -> None:
    begin(processes, client.settings, "-P", "prefork", "--without-mingle", **environment)
    with shop(client.settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.install_late", [app])
        answer = sent.get(timeout=20)
        assert said in answer
        assert bool(answer) == bool(said)
        sent = theirs.send_task("tests.shop.invoice", [str(tmp_path), 7])
        assert sent.get(timeout=20) == "invoice 7"
