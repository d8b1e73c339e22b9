"""The deployment that a command talks to: that of the settings in force."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from agent_tasks.cli.own_packages import load_own_packages
from agent_tasks.client import AgentTasks
from agent_tasks.route import connect
from agent_tasks.settings import Settings


@contextmanager
def deployment() -> Generator[AgentTasks]:
    """Raises InvalidInput where no servers are set, psycopg.OperationalError at once where Postgres is away."""
    show_warnings_in_one_line()
    load_own_packages()
    settings = Settings.load()
    reach_postgres(settings.database_url)
    client = AgentTasks(settings)
    try:
        yield client
    finally:
        client.close()


def reach_postgres(url: str) -> None:
    """The pool would try again for 10 seconds, and then not say why."""
    connect(url).close()


def show_warnings_in_one_line() -> None:
    """What the library logs is for the person at the terminal here: no times, no tracebacks."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    handler.setLevel(logging.WARNING)
    logging.basicConfig(handlers=[handler])
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        reason = record.exc_info[1] if record.exc_info else None
        return f"{record.levelname.lower()}: {record.getMessage()}" + (f": {reason}" if reason else "")
