"""Idempotency keys: one request, one task, however often and from wherever it is sent."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from agent_tasks import AgentTasks, IdempotencyConflict, Identity, InvalidInput
from tests.agents_payloads import Stamped
from tests.database import query
from tests.eventually import eventually


def count(client: AgentTasks) -> int:
    return query(client, "SELECT count(*) AS n FROM agent_tasks.tasks")[0]["n"]


def test_the_same_key_and_input_is_the_same_task(client: AgentTasks) -> None:
    first = client.submit("echo", {"value": {"b": 1, "a": [2]}}, idempotency_key="k")
    again = client.submit("echo", {"value": {"a": [2], "b": 1}}, idempotency_key="k", priority=9, metadata={"n": 2})
    assert again == first
    assert again.snapshot().metadata is None
    assert count(client) == 1


@pytest.mark.parametrize(("agent", "value"), [("echo", {"value": 2}), ("echo", {}), ("count", {"to": 1})])
def test_the_same_key_for_another_request_is_a_conflict_that_names_the_task(
    client: AgentTasks, agent: str, value: dict[str, int]
) -> None:
    first = client.submit("echo", {"value": 1}, idempotency_key="k")
    with pytest.raises(IdempotencyConflict, match="Use a new key") as caught:
        client.submit(agent, value, idempotency_key="k")
    assert caught.value.details == {"field": "idempotency_key", "task_id": str(first.id)}
    assert count(client) == 1


def test_fifty_submits_at_once_make_one_task(client: AgentTasks) -> None:
    client.submit("echo")
    barrier = threading.Barrier(50)

    def submit(_: int):  # type: ignore[no-untyped-def]
        barrier.wait(20)
        return client.submit("echo", {"value": 1}, idempotency_key="k")

    with ThreadPoolExecutor(50) as threads:
        tasks = set(threads.map(submit, range(50)))
    assert len(tasks) == 1
    assert tasks.pop().stored().status == "pending"
    assert count(client) == 2
    assert query(client, "SELECT count(*) AS n FROM agent_tasks.events WHERE type = 'submitted'") == [{"n": 2}]


def test_fifty_different_requests_at_once_make_one_task_and_conflicts(client: AgentTasks) -> None:
    client.submit("echo")
    barrier = threading.Barrier(50)

    def submit(n: int) -> object:
        barrier.wait(20)
        try:
            return client.submit("echo", {"value": n}, idempotency_key="k")
        except IdempotencyConflict as conflict:
            return conflict.details["task_id"]

    with ThreadPoolExecutor(50) as threads:
        outcomes = list(threads.map(submit, range(50)))
    (won,) = [task for task in outcomes if not isinstance(task, str)]
    assert {outcome for outcome in outcomes if isinstance(outcome, str)} == {str(won.id)}  # type: ignore[attr-defined]


def test_keys_of_different_tenants_subjects_and_nobody_do_not_meet(client: AgentTasks) -> None:
    identities = [
        None,
        Identity(subject="ana"),
        Identity(subject="ana", tenant="acme"),
        Identity(subject="bob", tenant="acme"),
        Identity(subject="ana", tenant="other"),
        Identity(subject="acme", tenant="ana"),
    ]
    tasks = {client.submit("echo", {"value": n}, identity=i, idempotency_key="k") for n, i in enumerate(identities)}
    assert len(tasks) == len(identities)


def test_another_scope_of_the_same_person_is_the_same_key(client: AgentTasks) -> None:
    first = client.submit("echo", identity=Identity(subject="ana", scopes=("a",)), idempotency_key="k")
    assert client.submit("echo", identity=Identity(subject="ana"), idempotency_key="k") == first


def test_an_expired_key_is_as_good_as_new(client: AgentTasks) -> None:
    first = client.submit("echo", {"value": 1}, idempotency_key="k")
    query(client, "UPDATE agent_tasks.idempotency_keys SET expires_at = clock_timestamp() - interval '1 s'")
    second = client.submit("echo", {"value": 2}, idempotency_key="k")
    assert second != first
    assert client.submit("echo", {"value": 2}, idempotency_key="k") == second


def test_a_key_lives_for_a_day(client: AgentTasks) -> None:
    client.submit("echo", idempotency_key="k")
    sql = (
        "SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 AS seconds FROM agent_tasks.idempotency_keys"
    )
    assert query(client, sql)[0]["seconds"] == pytest.approx(86_400, abs=5)


def test_a_rival_waits_for_the_first_and_takes_the_key_when_that_rolls_back(client: AgentTasks) -> None:
    client.submit("echo")
    with psycopg.connect(client.settings.database_url) as mine, ThreadPoolExecutor(1) as threads:
        first = client.submit("echo", {"value": 1}, idempotency_key="k", connection=mine)
        second = threads.submit(client.submit, "echo", {"value": 2}, idempotency_key="k")
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        eventually(lambda: query(client, waiting))
        mine.rollback()
        assert second.result(10).id != first.id
    assert count(client) == 2


def test_a_rival_waits_for_the_first_and_gets_its_task_when_that_commits(client: AgentTasks) -> None:
    with psycopg.connect(client.settings.database_url) as mine, ThreadPoolExecutor(1) as threads:
        first = client.submit("echo", {"value": 1}, idempotency_key="k", connection=mine)
        second = threads.submit(client.submit, "echo", {"value": 1}, idempotency_key="k")
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        eventually(lambda: query(client, waiting))
        mine.commit()
        assert second.result(10) == first


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x00b", "\ud800", 7, b"k"])
def test_a_key_that_cannot_be_kept_is_refused(client: AgentTasks, key: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        client.submit("echo", idempotency_key=key)  # type: ignore[arg-type]
    assert caught.value.details["field"] == "idempotency_key"


def test_a_refused_submit_uses_up_no_key(client: AgentTasks) -> None:
    with pytest.raises(InvalidInput):
        client.submit("count", {"to": "many"}, idempotency_key="k")
    assert client.submit("count", {"to": 3}, idempotency_key="k").snapshot().status == "pending"


def test_the_order_of_a_set_does_not_make_another_request(client: AgentTasks) -> None:
    words = ["red", "green", "blue", "black", "white"]
    task = client.submit("tagged", {"tags": set(words)}, idempotency_key="k")
    script = (
        "import os; from agent_tasks import AgentTasks, Settings; from tests import agents_payloads\n"
        "client = AgentTasks(Settings(database_url=os.environ['DB'], redis_url=os.environ['RD']))\n"
        f"print(client.submit('tagged', {{'tags': set({words})}}, idempotency_key='k').id)"
    )
    servers = {"DB": client.settings.database_url, "RD": client.settings.redis_url}
    for seed in ("1", "2"):
        env = {**os.environ, **servers, "PYTHONHASHSEED": seed}
        printed = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60)
        assert printed.stdout.strip() == str(task.id), printed.stderr


def test_a_default_that_is_made_anew_does_not_make_another_request(client: AgentTasks) -> None:
    given = {"request": {"q": "why"}}
    first = client.submit("stamped", given, idempotency_key="k")
    assert client.submit("stamped", given, idempotency_key="k") == first
    assert client.submit("stamped", {"request": Stamped(q="why")}, idempotency_key="k") == first
    with pytest.raises(IdempotencyConflict):
        client.submit("stamped", {"request": {"q": "why", "number": "given"}}, idempotency_key="k")


def test_a_request_that_0_1_0_took_is_known_again(client: AgentTasks) -> None:
    first = client.submit("echo", {"value": {"a": 1e16, "b": [2]}}, idempotency_key="k")
    request = json.dumps(["echo", {"value": {"a": 1e16, "b": [2]}}], sort_keys=True)
    query(client, "UPDATE agent_tasks.idempotency_keys SET digest = %s", hashlib.sha256(request.encode()).digest())
    assert client.submit("echo", {"value": {"b": [2], "a": 1e16}}, idempotency_key="k") == first
    with pytest.raises(IdempotencyConflict):
        client.submit("echo", {"value": {"b": [3], "a": 1e16}}, idempotency_key="k")
