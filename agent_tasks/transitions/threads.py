"""terminal → terminal, or nothing: what LangGraph's saver keeps of tasks goes with what the tasks have recorded."""

from collections.abc import Sequence
from typing import LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection

_TABLES: tuple[LiteralString, ...] = ("checkpoint_writes", "checkpoint_blobs", "checkpoints")
_OF: LiteralString = "ANY (ARRAY(SELECT unnest(%(ids)b::uuid[])))"

# The saver makes its tables when a graph first runs, and a role may have no right to them.
_THERE = """
    SELECT count(*) AS tables FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = 'langgraph' AND relname = ANY (%(tables)s) AND relkind = 'r'
        AND has_schema_privilege(pg_namespace.oid, 'USAGE') AND has_table_privilege(pg_class.oid, 'SELECT, DELETE')
"""
# A thread that has a name of its own is begun by a recorded call of that name (integrations/langgraph/graph.py).
_THREADS = f"""
    SELECT id::text AS thread FROM unnest(%(ids)b::uuid[]) AS id
    UNION
    SELECT task_id || '/' || substr(name, 7) FROM agent_tasks.calls
    WHERE task_id = {_OF} AND starts_with(name, 'graph ')
"""


class _ThereRow(TypedDict):
    tables: int


class _ThreadRow(TypedDict):
    thread: str


def delete_threads(connection: Connection, task_ids: Sequence[UUID]) -> int:
    """Delete the threads of these tasks, before their recorded calls; returns how many rows that were."""
    there: _ThereRow | None = connection.execute(_THERE, {"tables": list(_TABLES)}).fetchone()
    if not task_ids or there is None or there["tables"] < len(_TABLES):
        return 0
    rows: list[_ThreadRow] = connection.execute(_THREADS, {"ids": list(task_ids)}, prepare=False).fetchall()
    threads = [row["thread"] for row in rows]
    return sum(
        connection.execute(
            f"DELETE FROM langgraph.{table} WHERE thread_id = ANY (%(threads)s)", {"threads": threads}, prepare=False
        ).rowcount
        for table in _TABLES
    )
