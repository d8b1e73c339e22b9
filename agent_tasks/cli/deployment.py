"""The deployment that a command talks to, from the settings in force."""

import logging
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager

from agent_tasks.authoring.loading import import_from_current_folder
from agent_tasks.cli.lines import broken_for
from agent_tasks.client.client import AgentTasks
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import InvalidInput, TaskNotFound
from agent_tasks.settings import Settings
from agent_tasks.store.queries import read
from agent_tasks.store.route import connect
from agent_tasks.task.identity import Identity
from agent_tasks.task.origin import Origin, through
from agent_tasks.tracing.provider import provide

_MOST_ALIKE = 5


@contextmanager
def deployment() -> Generator[AgentTasks]:
    """Open the deployment. Raises InvalidInput if no servers are set, psycopg.OperationalError if Postgres is away."""
    show_warnings_in_one_line()
    import_from_current_folder()
    settings = Settings.load()
    reach_postgres(settings.database_url)
    provide("agent-tasks", is_on=settings.traces)
    client = AgentTasks(settings)
    try:
        with through(Origin(door="cli")):
            yield client
    finally:
        client.close()


def find_task(client: AgentTasks, id: str, identity: Identity | None) -> TaskHandle:
    """Return the only task whose id is or begins with `id`. Raises TaskNotFound; InvalidInput if there are several."""
    digits = re.sub(r"[-\s…]|\.\.\.$", "", id).lower()
    if len(digits) >= 32 or not re.fullmatch(r"[0-9a-f]{8,31}", digits):
        return client.get(id, identity=identity)
    with client.database.connection() as connection:
        found = read.with_prefix(connection, digits, identity, _MOST_ALIKE + 1)
    if not found:
        raise TaskNotFound(f"No task id begins with {id}.")
    if len(found) > 1:
        alike = ", ".join(map(str, found[:_MOST_ALIKE])) + (", …" if len(found) > _MOST_ALIKE else "")
        raise InvalidInput(f"Several task ids begin with {id}: {alike}. Give more of it.", field="id")
    return client.get(found[0], identity=identity)


def reach_postgres(url: str) -> None:
    """Connect once, and fail at once: the pool would retry for 10 seconds, and then not say why."""
    connect(url).close()


def show_warnings_in_one_line() -> None:
    """Show the library's warnings to the person at the terminal, without times and tracebacks."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    handler.setLevel(logging.WARNING)
    logging.basicConfig(handlers=[handler])
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        reason = record.exc_info[1] if record.exc_info else None
        said = f"{record.levelname.lower()}: {record.getMessage()}" + (f": {reason}" if reason else "")
        return broken_for(sys.stderr, said)
