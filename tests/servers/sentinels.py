"""A Redis that a sentinel watches, for a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from agent_tasks.embedded.binaries import valkey_server
from agent_tasks.embedded.valkey import free_port
from tests.eventually import eventually
from tests.servers.programs import Program, theirs


@contextmanager
def sentinel() -> Iterator[tuple[str, str]]:
    """(URL of the sentinel, name of the master)."""
    with TemporaryDirectory(prefix="at-sentinel-") as name:
        folder = Path(name)
        theirs(folder, valkey_server())
        port, watching = free_port(), free_port()
        conf = folder / "sentinel.conf"
        conf.write_text(f"port {watching}\ndir {folder}\nsentinel monitor ours 127.0.0.1 {port} 1\n")
        theirs(conf)
        argv = [valkey_server(), "--port", str(port), "--save", "", "--dir", folder]
        master = Program(argv, folder / "master.log")
        watcher = Program([valkey_server(), conf, "--sentinel"], folder / "sentinel.log")
        try:
            eventually(lambda: _answers(port) and _answers(watching))
            yield f"sentinel://127.0.0.1:{watching}/0", "ours"
        finally:
            watcher.end()
            master.end()


def _answers(port: int) -> bool:
    try:
        with redis.Redis(port=port) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
