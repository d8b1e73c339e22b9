"""LangGraph's own Postgres saver, in a schema of its own in our database, whose writes are fenced as ours are."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row

from agent_tasks.authoring.calls.operations import Premises
from agent_tasks.settings import Settings
from agent_tasks.store.errors import classified
from agent_tasks.store.route import Route

SCHEMA = "langgraph"
_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
_LOCK = 0x6C616E67
"""The advisory lock under which the tables are made: the bytes of "lang"."""
_LOOK_SECONDS = 0.1
_WITHIN = f"SET LOCAL search_path TO {SCHEMA}"
_MIGRATED = f"SELECT max(v) AS version FROM {SCHEMA}.checkpoint_migrations"
_COLUMNS = """
    SELECT string_agg(quote_ident(column_name), ', ') AS names FROM information_schema.columns
    WHERE table_schema = %s AND table_name = %s AND column_name <> 'thread_id'
"""
_NEAREST = f"""
    WITH RECURSIVE before AS (
        SELECT resumed_from AS id, 1 AS distance FROM agent_tasks.tasks WHERE id = %(id)s
        UNION ALL SELECT tasks.resumed_from, before.distance + 1 FROM agent_tasks.tasks
            JOIN before ON tasks.id = before.id
    )
    SELECT before.id::text || %(suffix)s AS thread FROM before
    WHERE EXISTS (SELECT FROM {SCHEMA}.checkpoints WHERE thread_id = before.id::text || %(suffix)s)
    ORDER BY distance LIMIT 1
"""
_ready: set[str] = set()
"""The URLs of databases in which the tables are known to be there."""


class FencedSaver(AsyncPostgresSaver):
    """The saver of one step: from when the step is another worker's, it writes nothing more."""

    def __init__(self, connection: AsyncConnection[DictRow], premises: Premises) -> None:
        super().__init__(connection)
        self._premises = premises

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncGenerator[AsyncCursor[DictRow]]:
        """Begin a transaction in the schema; `pipeline` is what the saver asks for where it writes."""
        assert isinstance(self.conn, AsyncConnection)
        async with self.lock, self.conn.transaction(), self.conn.cursor(binary=True, row_factory=dict_row) as cursor:
            await cursor.execute(_WITHIN)
            if pipeline:
                await cursor.execute(self._premises.fence, self._premises.values)
                if await cursor.fetchone() is None:
                    raise self._premises.broken(None)
            yield cursor

    async def take_over(self, suffix: str, thread: str) -> bool:
        """Copy what the nearest task that this one was resumed from has of the thread; returns whether there is any."""
        async with self._cursor(pipeline=True) as cursor:
            await cursor.execute(_NEAREST, {"id": self._premises.values["id"], "suffix": suffix})
            if (found := await cursor.fetchone()) is None:
                return False
            for table in _TABLES:
                await cursor.execute(_COLUMNS, (SCHEMA, table))
                row: Any = await cursor.fetchone()
                copy = (
                    f"INSERT INTO {SCHEMA}.{table} (thread_id, {row['names']}) "
                    f"SELECT %s, {row['names']} FROM {SCHEMA}.{table} WHERE thread_id = %s ON CONFLICT DO NOTHING"
                )
                await cursor.execute(copy.encode(), (thread, found["thread"]))
        return True


@asynccontextmanager
async def saver_of(premises: Premises) -> AsyncGenerator[FencedSaver]:
    """Open the saver of a step, whose tables are made if need be. Raises what Postgres says of a statement.

    Where Postgres is away the step has broken off, and runs again.
    """
    try:
        if premises.url not in _ready:
            await _prepare(premises.url)
        async with await _connect(premises.url) as connection:
            yield FencedSaver(connection, premises)
    except psycopg.Error as error:
        raise premises.broken(classified(error)) from error


def prepare(url: str | None = None) -> None:
    """Make the schema `langgraph` and the saver's tables, where the role of the workers may not.

    `url`: of the Postgres; by default that of the settings. Else they are made when a graph first runs.
    """
    asyncio.run(_prepare(url or Settings.load().database_url))


def prune(url: str | None = None) -> int:
    """Delete the threads of tasks that are purged; returns how many checkpoints those had.

    `url`: of the Postgres; by default that of the settings. Call it as often as the retention purges tasks.
    """
    return asyncio.run(_prune(url or Settings.load().database_url))


async def _prune(url: str) -> int:
    deleted = 0
    async with await _connect(url) as connection, connection.transaction():
        for table in reversed(_TABLES):
            gone = (
                f"DELETE FROM {SCHEMA}.{table} WHERE NOT EXISTS "
                "(SELECT FROM agent_tasks.tasks WHERE id::text = split_part(thread_id, '/', 1))"
            )
            deleted = (await connection.execute(gone.encode())).rowcount
    return deleted


async def _prepare(url: str) -> None:
    async with await _connect(url) as connection:
        await _make_tables(connection)
    _ready.add(url)


async def _make_tables(connection: AsyncConnection[DictRow]) -> None:
    """Run the saver's own migrations, in one process at a time.

    Whoever comes second looks again and again: waiting for a lock it would hold the snapshot that the first one's
    CREATE INDEX CONCURRENTLY waits for.
    """
    newest = len(AsyncPostgresSaver.MIGRATIONS) - 1
    while await _version(connection) < newest:
        locked: Any = await (await connection.execute("SELECT pg_try_advisory_lock(%s) AS mine", (_LOCK,))).fetchone()
        if not locked["mine"]:
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        try:
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            await connection.execute(f"SET search_path TO {SCHEMA}")
            await AsyncPostgresSaver(connection).setup()
        finally:
            await connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


async def _version(connection: AsyncConnection[DictRow]) -> int:
    there: Any = await (
        await connection.execute("SELECT to_regclass(%s) AS there", (f"{SCHEMA}.checkpoint_migrations",))
    ).fetchone()
    if there["there"] is None:
        return -1
    row: Any = await (await connection.execute(_MIGRATED)).fetchone()
    return -1 if row["version"] is None else row["version"]


async def _connect(url: str) -> AsyncConnection[DictRow]:
    terms: dict[str, Any] = {"autocommit": True, "prepare_threshold": None, "row_factory": dict_row}
    connection: Any = await AsyncConnection.connect(**{**Route(url).parameters, **terms})
    return connection
