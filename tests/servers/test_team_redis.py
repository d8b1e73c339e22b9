"""The Redis of a team's app, reached by the app's own options: bells arrive by the fast path."""

import json
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from agent_tasks import AgentTasks
from agent_tasks.doorbell.installed import Installed, set_installed
from agent_tasks.embedded.valkey import free_port
from agent_tasks.sweeps import bells
from tests import rows
from tests.agents import notes
from tests.database import query
from tests.eventually import eventually
from tests.processes import Processes, Running
from tests.proxy import Proxy, address_of
from tests.servers.programs import theirs
from tests.servers.test_redis_urls import answers, asking, certificate, folder, programs, start, watched_pair
from tests.team_app import made

__all__ = ["certificate", "folder", "programs"]


@pytest.fixture
def a_socket(folder: Path, programs: ExitStack) -> tuple[str, dict[str, Any]]:
    path = folder / "redis.sock"
    start(programs, folder, "valkey", "--port", 0, "--unixsocket", path, "--unixsocketperm", 777, "--save", "")
    eventually(lambda: answers(redis.Redis(unix_socket_path=str(path))))
    return f"redis+socket://{path}?virtual_host=3", {}


@pytest.fixture
def sentinels(folder: Path, programs: ExitStack) -> tuple[str, dict[str, Any]]:
    master, watching = free_port(), free_port()
    start(programs, folder, "master", "--port", master, "--save", "", "--dir", folder)
    eventually(lambda: answers(redis.Redis(port=master)))
    conf = folder / "sentinel.conf"
    conf.write_text(f"port {watching}\ndir {folder}\nsentinel monitor theirs 127.0.0.1 {master} 1\n")
    theirs(conf)
    start(programs, folder, "sentinel", conf, "--sentinel")
    eventually(lambda: answers(redis.Redis(port=watching)))
    return f"sentinel://127.0.0.1:{watching}/1", {"broker_transport_options": {"master_name": "theirs"}}


@pytest.fixture
def an_acl_user(folder: Path, programs: ExitStack) -> tuple[str, dict[str, Any]]:
    """Who may write to the keys of its prefix only."""
    port = free_port()
    conf = folder / "valkey.conf"
    conf.write_text(f'port {port}\nsave ""\nuser ana on >geheim ~shop:* &* +@all\n')
    theirs(conf)
    start(programs, folder, "valkey", conf)
    eventually(lambda: answers(redis.Redis(port=port)))
    return f"redis://ana:geheim@127.0.0.1:{port}/0", {"broker_transport_options": {"global_keyprefix": "shop:"}}


@pytest.fixture
def tls(settings: Any, certificate: tuple[Path, Path], programs: ExitStack) -> tuple[str, dict[str, Any]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    proxy = programs.enter_context(Proxy(address_of(settings.redis_url), context))
    used = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": str(certificate[0])}
    return f"rediss://localhost:{proxy.port}/0", {"broker_use_ssl": used}


@pytest.fixture
def mutual_tls(settings: Any, certificate: tuple[Path, Path], programs: ExitStack) -> tuple[str, dict[str, Any]]:
    """One that asks for a certificate of whoever connects."""
    proxy = programs.enter_context(Proxy(address_of(settings.redis_url), asking(certificate)))
    made, key = map(str, certificate)
    used = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": made, "ssl_certfile": made, "ssl_keyfile": key}
    return f"rediss://localhost:{proxy.port}/0", {"broker_use_ssl": used}


@pytest.mark.parametrize("place", ["a_socket", "sentinels", "an_acl_user", "tls", "mutual_tls"])
def test_bells_arrive_by_the_fast_path_however_the_apps_redis_is_reached(
    client: AgentTasks, request: pytest.FixtureRequest, place: str
) -> None:
    url, conf = request.getfixturevalue(place)
    app: Any = made(url, **conf)
    set_installed(Installed(app, None, "shop"))
    try:
        assert client.bells.path == "redis", client.bells.why
        task = client.submit("echo", {"value": 1})
        assert client.bells.waiting(["agents"]) == {"agents": 1}
        with app.connection_for_read() as connection:
            (message,) = [app.amqp.queues["agents"](connection.default_channel).get(no_ack=True)]
        assert message.headers["id"].startswith(str(task.id))
    finally:
        set_installed(None)


def test_a_user_without_rights_on_the_keys_of_the_status_rings_each_bell_once_and_status_is_read_from_postgres(
    client: AgentTasks, folder: Path, programs: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    conf = folder / "valkey.conf"
    conf.write_text(f'port {port}\nsave ""\nuser ana on >geheim ~agents* ~_kombu* &* +@all\n')
    theirs(conf)
    start(programs, folder, "valkey", conf)
    eventually(lambda: answers(redis.Redis(port=port)))
    set_installed(Installed(made(f"redis://ana:geheim@127.0.0.1:{port}/0"), None, "shop"))
    limited = AgentTasks(client.settings.model_copy(update={"redis_url": ""}))
    try:
        assert limited.has_redis, "as it seems"
        task = limited.submit("echo", {"value": 1})
        assert limited.bells.waiting(["agents"]) == {"agents": 1}
        redis.Redis(port=port).flushall()
        query(client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() - interval '1 ms'")
        bells.run_once(limited)  # which has a newer version shown
        assert limited.bells.waiting(["agents"]) == {"agents": 1}
        assert not limited.publisher._unsent._rows, "it would ring once more"
        assert task.snapshot().status == "pending"
        task.cancel()
        assert task.wait(timeout=20).status == "cancelled"
        to_do = "for the status on the keys and channels agent-tasks:*, here or on a Redis of its own in AGENT_TASKS_"
        assert to_do in caplog.text
    finally:
        limited.close()
        set_installed(None)


def test_a_worker_of_theirs_killed_in_a_step_loses_nothing_though_the_sentinels_fail_over_meanwhile(
    client: AgentTasks, processes: Processes, folder: Path, programs: ExitStack, tmp_path: Path
) -> None:
    master, watching = watched_pair(programs, folder)
    shop = {"broker": f"sentinel://127.0.0.1:{watching}/0", "broker_transport_options": {"master_name": "ours"}}
    environment = {**processes.environment(), "SHOP": json.dumps(shop)}

    def begin(number: int) -> Running:
        name = f"theirs{number}@test"
        options = ["-n", name, "-P", "threads", "-c", "4", "-l", "INFO", "--without-mingle"]
        worker = processes.app("tests.team_app:app", ["worker", *options], environment)
        eventually(lambda: "takes steps" in worker.output and f"{name} ready" in worker.output, 40)
        return worker

    set_installed(Installed(made(**shop), None, "shop"))
    try:
        assert client.bells.path == "redis", client.bells.why
        worker = begin(0)
        processes.app("tests.team_app:app", ["beat", "-l", "INFO"], environment)
        task = client.submit("relay", {"folder": str(tmp_path)})
        eventually(lambda: rows.is_paid(client), 30)
        master.end()
        worker.kill()
        other = client.submit("echo", {"value": 2})
        begin(1)
        (tmp_path / "go").touch()
        assert [task.result(timeout=60), other.result(timeout=60)] == ["done", 2]
        assert notes(tmp_path).count("paid") == 1
    finally:
        set_installed(None)
