"""The keys of a deployment on real processes: rotated without losing a bell, and compared by doctor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks import AgentTasks, Settings
from agent_tasks.cli.checks import Finding, all_checks
from tests.database import query
from tests.eventually import eventually
from tests.processes import Processes


@pytest.fixture
def patient(settings: Settings) -> Settings:
    """Nobody rings again while the test looks."""
    return settings.model_copy(update={"ring_seconds": 300.0})


def with_keys(settings: Settings, keys: str) -> AgentTasks:
    return AgentTasks(settings.model_copy(update={"secret_key": keys}))


@pytest.fixture
def clients(patient: Settings) -> Iterator[dict[str, AgentTasks]]:
    """Programs at each stage of a rotation, before and after which the workers were given both keys."""
    made = {keys: with_keys(patient, keys) for keys in ("old", "old,new", "new,old", "new")}
    yield made
    for client in made.values():
        client.close()


def test_a_bell_in_flight_during_a_rotation_is_answered_whichever_key_signed_it(
    clients: dict[str, AgentTasks], patient: Settings, tmp_path: Path
) -> None:
    in_flight = [client.submit("echo", {"value": keys}) for keys, client in clients.items()]
    with Processes(patient, tmp_path) as processes:
        worker = processes.worker(secret_key="new,old")
        assert [task.result(timeout=30) for task in in_flight] == list(clients)
        assert "envelope refused" not in worker.output
        first = processes.worker(secret_key="old,new")
        worker.kill()
        assert clients["new"].submit("echo", {"value": 1}, queue="agents").result(timeout=30) == 1
        assert "envelope refused" not in first.output


def test_a_bell_that_is_signed_with_no_key_of_the_worker_is_refused(
    clients: dict[str, AgentTasks], patient: Settings, tmp_path: Path
) -> None:
    task = clients["old"].submit("echo", {"value": 1})
    with Processes(patient, tmp_path) as processes:
        worker = processes.worker(secret_key="new")
        eventually(lambda: "envelope refused" in worker.output)
    assert task.stored().status == "pending"


def findings(monkeypatch: pytest.MonkeyPatch, settings: Settings, keys: str) -> list[Finding]:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("AGENT_TASKS_SECRET_KEY", keys)
    return [finding for finding in all_checks() if finding.name == "secret"][1:]


def test_doctor_compares_the_keys_that_processes_use_and_shows_none(
    client: AgentTasks, settings: Settings, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.worker(secret_key="sesame,old")
    processes.sweeper(secret_key="old")
    processes.beat()
    eventually(lambda: query(client, "SELECT keys FROM agent_tasks.watches WHERE keys IS NOT NULL"))
    (well,) = findings(monkeypatch, settings, "old")
    assert well.ok
    assert "2 keys sign" in well.text
    (wrong,) = findings(monkeypatch, settings, "other")
    assert not wrong.ok
    assert "worker0@test" in wrong.text
    assert "this program" in wrong.text
    assert "AGENT_TASKS_SECRET_KEY" in wrong.action
    processes.worker(secret_key="sesame")
    refused = {finding.text for finding in findings(monkeypatch, settings, "sesame")}
    assert len(refused) == 1
    assert "refuses what the sweeper signs" in refused.pop()
    for row in query(client, "SELECT keys FROM agent_tasks.workers UNION ALL SELECT keys FROM agent_tasks.watches"):
        assert not {"sesame", "old"} & set(row["keys"] or ())


def test_doctor_finds_the_key_that_is_kept_in_postgres_well(
    client: AgentTasks, settings: Settings, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.worker()
    (well,) = findings(monkeypatch, settings, "")
    assert (well.ok, well.text) == (True, "all sign with one key")
