"""A streaming standby that is promoted while the primary has vanished: work goes on there."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import psutil
import psycopg
import pytest

from agent_tasks import AgentTasks, TaskHandle
from agent_tasks.embedded import EmbeddedServers
from agent_tasks.embedded.binaries import postgres_programs
from tests.conftest import Fragile
from tests.eventually import eventually
from tests.processes import Processes
from tests.proxy import Proxy, address_of, through
from tests.servers.programs import Program, theirs


class Standby:
    """A copy of an embedded Postgres that follows it, on a unix socket in `folder`."""

    def __init__(self, primary: EmbeddedServers, folder: Path) -> None:
        self._primary = primary.database_url
        socket_folder = os.path.dirname(str(address_of(self._primary)))
        theirs(folder)
        data, programs = folder / "data", postgres_programs(None)
        argv = [programs / "pg_basebackup", "-h", socket_folder, "-p", "5432", "-U", "postgres", "-D", data]
        copying = Program([*argv, "--write-recovery-conf", "--checkpoint=fast"], folder / "log")
        assert copying.wait(60) == 0, copying.log.read_text()
        argv = [programs / "postgres", "-D", data, "-k", folder, "-p", "5432", "-c", "listen_addresses="]
        self._server = Program([*argv, "-c", "max_connections=200"], folder / "log")
        self.url = f"postgresql://postgres@/postgres?host={folder}&port=5432"
        eventually(lambda: self._says("SELECT pg_is_in_recovery()"), 30)

    def catch_up(self) -> None:
        """Wait until it has all that the primary has by now."""
        with psycopg.connect(self._primary) as primary:
            row = primary.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()
        assert row is not None
        eventually(lambda: self._says(f"SELECT pg_last_wal_replay_lsn() >= '{row[0]}'"), 20)

    def promote(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            assert connection.execute("SELECT pg_promote()").fetchone() == (True,)

    def end(self) -> None:
        self._server.end(signal.SIGQUIT)

    def _says(self, question: str) -> Any:
        try:
            with psycopg.connect(self.url) as connection:
                row = connection.execute(question.encode()).fetchone()
        except psycopg.OperationalError:
            return None
        return row and row[0]


@pytest.fixture
def standby(fragile: Fragile) -> Iterator[Standby]:
    with TemporaryDirectory(prefix="at-standby-") as folder:
        standby = Standby(fragile.servers, Path(folder))
        yield standby
        standby.end()


@pytest.fixture
def ways(fragile: Fragile, standby: Standby) -> Iterator[tuple[Proxy, Proxy]]:
    """To the primary, and to the standby."""
    with Proxy(address_of(fragile.settings.database_url)) as one, Proxy(address_of(standby.url)) as other:
        yield one, other


def processes_of(servers: EmbeddedServers) -> list[psutil.Process]:
    assert servers.postgres.pid is not None
    postmaster = psutil.Process(servers.postgres.pid)
    return [postmaster, *postmaster.children(recursive=True)]


def freeze(servers: EmbeddedServers) -> Callable[[], None]:
    """Every process of the primary stands still, as on a host that hangs; returns what lets them go on."""
    frozen = processes_of(servers)
    for process in frozen:
        process.send_signal(signal.SIGSTOP)

    def thaw() -> None:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    return thaw


def submitted(client: AgentTasks, value: int) -> TaskHandle:
    """As a program does that tries again."""
    begun = monotonic()
    while True:
        try:
            return client.submit("echo", {"value": value})
        except psycopg.OperationalError:
            assert monotonic() - begun < 60


@pytest.mark.parametrize("how", ["frozen", "cut off"])
def test_after_the_promotion_of_a_standby_submits_and_work_go_on_within_twenty_seconds(
    fragile: Fragile, standby: Standby, ways: tuple[Proxy, Proxy], how: str
) -> None:
    url = through(fragile.settings.database_url, *ways)
    fragile.processes.fleet(database_url=url)
    far = AgentTasks(fragile.settings.model_copy(update={"database_url": url}))
    thaw: Callable[[], None] = lambda: None  # noqa: E731
    try:
        assert [task.result(timeout=20) for task in far.submit_many("hops", [{"to": 2}] * 10)] == [2] * 10
        before = far.submit("echo", {"waits_for": ["go"], "value": 7})
        eventually(lambda: before.stored().status == "waiting")
        standby.catch_up()
        if how == "frozen":
            thaw = freeze(fragile.servers)
        else:
            ways[0].swallow()
        standby.promote()
        begun = monotonic()
        assert submitted(far, 3).result(timeout=30) == 3
        assert monotonic() - begun < 20
        before.signal("go", 1)
        assert before.wait(timeout=20).status == "completed"
    finally:
        ways[0].flow()
        thaw()
        far.close()


@pytest.mark.parametrize("order", ["primary first", "standby first"])
def test_migrate_and_doctor_find_the_primary_among_several_hosts(
    fragile: Fragile, ways: tuple[Proxy, Proxy], processes: Processes, order: str
) -> None:
    hosts = ways if order == "primary first" else ways[::-1]
    environment = processes.environment(database_url=through(fragile.settings.database_url, *hosts))
    for command, expected in (("migrate", ""), ("doctor", "up to date")):
        argv = [sys.executable, "-m", "agent_tasks.cli", command]
        ran = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0 or command == "doctor", ran.stderr
        assert expected in ran.stdout
        assert "Traceback" not in ran.stderr
