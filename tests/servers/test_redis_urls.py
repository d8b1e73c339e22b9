"""The forms of Redis's URL, each with a real server behind it, and those behind which none can serve."""

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis

from agent_tasks import AgentTasks, Settings
from agent_tasks.embedded.binaries import valkey_server
from agent_tasks.embedded.valkey import free_port
from tests.eventually import eventually
from tests.processes import Processes
from tests.proxy import Proxy, address_of
from tests.servers.programs import Program, installed, theirs


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="at-redis-") as name:
        theirs(Path(name), valkey_server())
        yield Path(name)


@pytest.fixture
def programs() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(programs: ExitStack, folder: Path, name: str, *options: str | int) -> Program:
    program = Program([valkey_server(), *map(str, options)], folder / f"{name}.log")
    programs.callback(program.end)
    return program


def answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def doctor(processes: Processes, redis_url: str) -> str:
    environment = processes.environment(redis_url=redis_url)
    argv = [sys.executable, "-m", "agent_tasks.cli", "doctor"]
    ran = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in ran.stderr
    return " ".join(ran.stdout.split())


def watched_pair(programs: ExitStack, folder: Path) -> tuple[Program, int]:
    """A master with a replica, which a sentinel watches under the name `ours`: the master, and the sentinel's port."""
    one, other, watching = free_port(), free_port(), free_port()
    master = start(programs, folder, "master", "--port", one, "--save", "", "--dir", folder)
    start(
        programs, folder, "replica", "--port", other, "--save", "", "--dir", folder, "--replicaof", f"127.0.0.1 {one}",
        "--repl-diskless-sync-delay", 0,
    )  # fmt: skip
    eventually(lambda: answers(redis.Redis(port=one)) and answers(redis.Redis(port=other)))
    eventually(lambda: redis.Redis(port=other).info("replication")["master_link_status"] == "up", 20)
    conf = folder / "sentinel.conf"
    conf.write_text(
        f"port {watching}\ndir {folder}\nsentinel monitor ours 127.0.0.1 {one} 1\n"
        "sentinel down-after-milliseconds ours 1000\nsentinel failover-timeout ours 5000\n"
    )
    theirs(conf)
    start(programs, folder, "sentinel", conf, "--sentinel")
    eventually(lambda: answers(redis.Redis(port=watching)))
    eventually(lambda: redis.Redis(port=watching).sentinel_slaves("ours"), 20)
    return master, watching


@pytest.mark.parametrize("form", ["unix://{}?db=1", "redis+socket://{}?virtual_host=1"])
def test_tasks_run_by_way_of_a_unix_socket(
    settings: Settings, processes: Processes, folder: Path, programs: ExitStack, form: str
) -> None:
    path = folder / "redis.sock"
    start(programs, folder, "valkey", "--port", 0, "--unixsocket", path, "--unixsocketperm", 777, "--save", "")
    eventually(lambda: answers(redis.Redis(unix_socket_path=str(path))))
    url = form.format(path)
    processes.fleet(redis_url=url)
    client = AgentTasks(settings.model_copy(update={"redis_url": url}))
    try:
        assert [task.result(timeout=20) for task in client.submit_many("hops", [{"to": 2}] * 5)] == [2] * 5
        assert redis.Redis(unix_socket_path=str(path), db=1).dbsize()
    finally:
        client.close()
    assert "noeviction" in doctor(processes, url)


def test_tasks_run_by_way_of_sentinels_and_go_on_after_a_failover(
    settings: Settings, processes: Processes, folder: Path, programs: ExitStack
) -> None:
    master, watching = watched_pair(programs, folder)
    url = f"sentinel://127.0.0.1:{watching}/0?master_name=ours"
    processes.fleet(redis_url=url)
    client = AgentTasks(settings.model_copy(update={"redis_url": url}))
    try:
        assert client.submit("echo", {"value": 1}).result(timeout=20) == 1
        assert "noeviction" in doctor(processes, url)
        master.end()
        task = client.submit("echo", {"value": 2})
        assert task.result(timeout=60) == 2
        assert all(process.is_alive for process in processes.all)
    finally:
        client.close()


@pytest.mark.parametrize("wrong", ["redis://:wrong@{}/0", "redis://:right@{}/99", "rediss://:right@{}/0"])
def test_a_redis_that_refuses_is_told_by_doctor_and_by_workers_and_submits_are_accepted(
    settings: Settings, processes: Processes, folder: Path, programs: ExitStack, wrong: str
) -> None:
    port = free_port()
    start(programs, folder, "valkey", "--port", port, "--requirepass", "right", "--save", "")
    eventually(lambda: answers(redis.Redis(port=port, password="right")))
    url = wrong.format(f"127.0.0.1:{port}")
    assert "redis cannot be reached" in doctor(processes, url)
    worker = processes.worker(redis_url=url, ready=False)
    client = AgentTasks(settings.model_copy(update={"redis_url": url}))
    try:
        assert client.submit("echo").stored().status == "pending"
        eventually(lambda: "Redis cannot be used" in worker.output or "Cannot connect to redis" in worker.output, 30)
    finally:
        client.close()


@pytest.fixture
def certificate(folder: Path) -> tuple[Path, Path]:
    """Of a CA that nobody knows, for localhost, and its key."""
    made, key = folder / "ca.pem", folder / "key.pem"
    argv = [installed("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=ours"]
    argv += ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", made]
    subprocess.run(argv, capture_output=True, check=True)
    return made, key


def asking(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """The terms of a server that asks for a certificate, too."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    tls.load_verify_locations(certificate[0])
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls


def test_a_redis_that_asks_for_a_certificate_says_what_to_do_and_serves_once_it_is_named(
    settings: Settings, processes: Processes, certificate: tuple[Path, Path]
) -> None:
    made, key = certificate
    with Proxy(address_of(settings.redis_url), asking(certificate)) as proxy:
        without = f"rediss://localhost:{proxy.port}/0?ssl_ca_certs={made}"
        said = doctor(processes, without)
        assert "ssl_certfile=/path/cert.pem&ssl_keyfile=/path/key.pem" in said, said
        known = f"{without}&ssl_certfile={made}&ssl_keyfile={key}&ssl_cert_reqs=CERT_REQUIRED"
        processes.fleet(redis_url=known)
        client = AgentTasks(settings.model_copy(update={"redis_url": known}))
        assert client.publisher._added is not None
        assert client.submit("hops", {"to": 2}).result(timeout=20) == 2
        client.close()
        assert "noeviction" in doctor(processes, known)


def test_a_redis_whose_certificate_is_of_an_unknown_ca_is_refused_saying_what_to_do_and_serves_once_the_ca_is_named(
    settings: Settings, processes: Processes, certificate: tuple[Path, Path]
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with Proxy(address_of(settings.redis_url), tls) as proxy:
        ends = f"{proxy.port}/0"
        unknown, known = f"rediss://localhost:{ends}", f"rediss://localhost:{ends}?ssl_ca_certs={certificate[0]}"
        to_do = "name it in AGENT_TASKS_REDIS_URL: rediss://host/0?ssl_ca_certs=/path/ca.pem"
        assert to_do in doctor(processes, unknown)
        other_name = known.replace("localhost", "127.0.0.1")
        assert "name the host in AGENT_TASKS_REDIS_URL as its certificate does" in doctor(processes, other_name)
        worker = processes.worker(redis_url=unknown, ready=False)
        eventually(lambda: to_do in worker.output, 30)
        worker.kill()
        refused = AgentTasks(settings.model_copy(update={"redis_url": unknown}))
        assert refused.submit("echo").stored().status == "pending"
        refused.close()
        processes.fleet(redis_url=known)
        client = AgentTasks(settings.model_copy(update={"redis_url": known}))
        assert client.submit("echo", {"value": 1}).result(timeout=20) == 1
        client.close()
        assert "noeviction" in doctor(processes, known)
