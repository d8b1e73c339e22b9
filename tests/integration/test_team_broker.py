"""Our own processes on the broker of a team's app that AGENT_TASKS_APP names."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import celery
import pytest

from agent_tasks import AgentTasks, Settings
from tests.database import query
from tests.eventually import eventually
from tests.processes import Processes

APP = "tests.team_app:app"


def test_workers_and_sweeps_of_ours_ring_and_take_by_the_broker_of_the_app_and_its_options(
    client: AgentTasks, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"global_keyprefix": "shop:", "sep": ":", "priority_steps": [0, 4, 8]}
    shop = {"broker": client.settings.redis_url, "broker_transport_options": options}
    monkeypatch.setenv("SHOP", json.dumps(shop))
    processes.fleet(app=APP)
    task = client.submit("hops", {"to": 3})  # without the app: the bell goes where nobody looks, and the sweep rings
    assert task.result(timeout=40) == 3
    program = "import agent_tasks; print(agent_tasks.submit('hops', {'to': 2}).result(timeout=30))"
    ran = processes.python(program, app=APP)
    assert ran.wait_for_exit() == 0, ran.output
    assert ran.output.split()[-1] == "2"
    assert client.redis.keys("shop:*")


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate and its key, as Celery signs messages with."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key, now = rsa.generate_private_key(65537, 2048), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1)).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "key").write_bytes(text)
    return folder / "cert.pem", folder / "key"


def test_while_the_redis_of_the_status_is_away_bells_ring_by_the_broker_and_status_is_read_from_postgres(
    settings: Settings, processes: Processes
) -> None:
    apart = {"redis_url": "redis://127.0.0.1:1/0", "broker_url": settings.redis_url}
    processes.fleet(**apart)
    client = AgentTasks(settings.model_copy(update=apart))
    try:
        tasks = client.submit_many("hops", [{"to": 2}] * 5)
        assert [task.result(timeout=40) for task in tasks] == [2] * 5
        stopped = client.submit("sleeper", {"seconds": 60})
        eventually(lambda: stopped.snapshot().status == "waiting")
        stopped.cancel()
        assert stopped.wait(timeout=20).status == "cancelled"
        assert query(client, "SELECT count(*) AS n FROM agent_tasks.events WHERE data -> 'again' = 'true'")[0]["n"] == 0
    finally:
        client.close()


@pytest.mark.skipif(celery.VERSION < (5, 5), reason="Celery 5.4 compares a certificate's times without their zone")
def test_an_app_that_signs_its_messages_and_takes_no_others_signs_bells_and_ticks_too(
    client: AgentTasks, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography", reason="the tools of the tests are not installed")
    made, key = certified(tmp_path)
    signing = {
        "security_key": str(key),
        "security_certificate": str(made),
        "security_cert_store": str(tmp_path / "*.pem"),
    }
    shop = {"broker": client.settings.redis_url, "task_serializer": "auth", "accept_content": ["auth"], **signing}
    monkeypatch.setenv("SHOP", json.dumps(shop))
    processes.fleet(app=APP)  # ours: sweeps by signed ticks, and steps
    environment = {**processes.environment(), "SHOP": json.dumps(shop)}
    theirs = processes.app(APP, ["worker", "-n", "theirs@test", "-P", "threads", "-c", "4", "-l", "INFO"], environment)
    eventually(lambda: "takes steps" in theirs.output and "theirs@test ready" in theirs.output, 40)
    program = (
        "import agent_tasks; client = agent_tasks.default(); print(client.bells.path, client.bells.why); "
        "print(client.submit('sleeper', {'seconds': 0.2}).result(timeout=40)); "  # by a tick
        "print([task.result(timeout=40) for task in client.submit_many('hops', [{'to': 2}] * 10)])"
    )
    ran = processes.python(program, app=APP)
    assert ran.wait_for_exit() == 0, ran.output
    assert "producer the app's accept_content is without json" in ran.output
    assert ran.output.splitlines()[-1] == str([2] * 10)
    for process in processes.all:
        for wrong in ("ContentDisallowed", "SecurityError", "unregistered task", "no code here"):
            assert wrong not in process.output


@pytest.mark.parametrize(
    ("app", "installs", "said", "commands"),
    [
        ("tests.nowhere:app", "yes", "does not load: ModuleNotFoundError", ("submit", "worker")),
        (
            APP,
            "no",
            "is not installed: call agent_tasks.celery.install(app) in its module",
            ("submit", "sweeper", "gateway", "deliverer"),
        ),
    ],
)
def test_an_app_that_cannot_be_used_is_named_and_nothing_is_submitted(
    client: AgentTasks,
    processes: Processes,
    monkeypatch: pytest.MonkeyPatch,
    app: str,
    installs: str,
    said: str,
    commands: tuple[str, ...],
) -> None:
    monkeypatch.setenv("SHOP", json.dumps({"broker": client.settings.redis_url}))
    monkeypatch.setenv("SHOP_INSTALLS", installs)
    for command in commands:
        argv = [sys.executable, "-m", "agent_tasks.cli", command, *(["echo", '{"value": 1}'] * (command == "submit"))]
        environment = processes.environment(app=app)
        ran = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, said in " ".join(ran.stderr.split())) == (2, True), ran.stderr
        assert "Traceback" not in ran.stderr
    assert query(client, "SELECT count(*) AS n FROM agent_tasks.tasks")[0]["n"] == 0
