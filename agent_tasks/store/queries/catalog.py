"""The system's own records: the agents that workers have, the secret that signs."""

import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict

from agent_tasks.store.database import Connection

_REGISTER = """
    INSERT INTO agent_tasks.agents (name, definition)
    SELECT name, definition FROM jsonb_to_recordset(%s::jsonb) AS new (name text, definition jsonb)
    ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, seen_at = clock_timestamp()
"""


class AgentRow(TypedDict):
    """An agent that a worker has registered."""

    name: str
    definition: dict[str, Any]
    seen_at: datetime


def answers(connection: Connection) -> None:
    """Have Postgres answer; an error where it does not."""
    connection.execute("SELECT 1")


def register_agents(connection: Connection, definitions: dict[str, dict[str, Any]]) -> None:
    """Record the agents that a worker has loaded, for submitters that have not loaded them."""
    records = [{"name": name, "definition": definition} for name, definition in sorted(definitions.items())]
    connection.execute(_REGISTER, [json.dumps(records)])


def registered_agent(connection: Connection, name: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT definition FROM agent_tasks.agents WHERE name = %s", [name]).fetchone()
    return row["definition"] if row else None


def registered_agents(connection: Connection) -> list[AgentRow]:
    """Return what workers have registered, by name."""
    return connection.execute("SELECT name, definition, seen_at FROM agent_tasks.agents ORDER BY name").fetchall()


def registered_names(connection: Connection) -> list[str]:
    return [row["name"] for row in connection.execute("SELECT name FROM agent_tasks.agents ORDER BY name")]


def signing_key(connection: Connection) -> bytes:
    """Return the deployment's own key; the first process that asks makes it."""
    made = secrets.token_bytes(32)
    connection.execute(
        "INSERT INTO agent_tasks.secrets (name, value) VALUES ('signing', %s) ON CONFLICT (name) DO NOTHING", [made]
    )
    key = kept_key(connection)
    assert key is not None
    return key


def kept_key(connection: Connection) -> bytes | None:
    """The deployment's own key, where a process has made one."""
    row = connection.execute("SELECT value FROM agent_tasks.secrets WHERE name = 'signing'").fetchone()
    return bytes(row["value"]) if row else None


def note_keys(connection: Connection, watch: str, fingerprints: Sequence[str]) -> None:
    """Note the keys of the sweeper that keeps a watch."""
    connection.execute("UPDATE agent_tasks.watches SET keys = %s WHERE name = %s", [list(fingerprints), watch])


def watch_keys(connection: Connection, watch: str) -> list[str]:
    """The fingerprints of the keys of the sweeper that kept a watch last; none where it noted none."""
    row = connection.execute("SELECT keys FROM agent_tasks.watches WHERE name = %s", [watch]).fetchone()
    return (row["keys"] if row else None) or []
