"""Postgres away for longer than anything waits for it: seconds after its return all goes on."""

import os
import signal
import threading
from time import monotonic

import psycopg
import pytest

from tests.conftest import Fragile
from tests.eventually import eventually

LONG_SECONDS = 130
"""After two minutes the pauses of whatever doubles them are longer than what is allowed."""


@pytest.mark.parametrize("away", [LONG_SECONDS, pytest.param(300, marks=pytest.mark.slow)])
def test_after_minutes_without_postgres_submits_and_work_go_on_within_five_seconds(
    fragile: Fragile, away: float
) -> None:
    fragile.processes.fleet()
    assert fragile.client.submit("echo", {"value": 1}).result(timeout=20) == 1
    pid = fragile.servers.postgres.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError):  # what served a connection outlives the server by a moment
        eventually(lambda: fragile.client.submit("echo", {"value": 2}) is None)
    threading.Event().wait(away)
    fragile.servers.postgres.start()
    begun = monotonic()
    task = eventually(lambda: fragile.client.submit("echo", {"value": 3}), 5)
    assert task.result(timeout=10) == 3
    assert monotonic() - begun < 5
    assert all(process.is_alive for process in fragile.processes.all)
