"""On what the figures were measured: the machine, and the versions of all that took part."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.deployment import Deployment

PACKAGES = ("agent-tasks", "celery", "dbos", "procrastinate", "psycopg", "redis")


def describe(made: Deployment) -> list[str]:
    """Lines of Markdown. `made` is asked for the versions of its servers."""
    with made.client.database.connection() as connection:
        row = connection.execute("SELECT current_setting('server_version') AS version").fetchone()
        assert row is not None
    info = made.client.redis.info("server")
    servers = f"PostgreSQL {row['version']} (fsync on), Valkey {info.get('valkey_version', info['redis_version'])}"
    cores = f"{os.cpu_count()} cores of {_processor()}, {psutil.virtual_memory().total / 2**30:.0f} GiB"
    return [
        f"- Machine: {cores}; {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        f"- Servers: {servers}, both on this machine, with the settings of `agent-tasks dev`",
        f"- Packages: {', '.join(f'{name} {version(name)}' for name in PACKAGES)}",
    ]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "an unnamed processor"
