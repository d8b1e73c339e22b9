"""LangGraph's own Postgres saver, in a schema of its own in our database, whose writes are fenced as ours are."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
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
        """Begin a transaction in the schema; `pipeline` is what the saver asks for where it writes.

        Where Postgres is away the step has broken off, and runs again. What Postgres says to code of the graph's own is
        for the graph.
        """
        assert isinstance(self.conn, AsyncConnection)
        with _of_ours(self._premises):
            async with (
                self.lock,
                self.conn.transaction(),
                self.conn.cursor(binary=True, row_factory=dict_row) as cursor,
            ):
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
    """Open the saver of a step, whose tables are made if need be. Raises what Postgres says of a statement."""
    with _of_ours(premises):
        if premises.url not in _ready:
            await _prepare(premises.url)
        connection = await _connect(premises.url)
    try:
        yield FencedSaver(connection, premises)
    finally:
        await connection.close()


@contextmanager
def _of_ours(premises: Premises) -> Generator[None]:
    """Break the step off where Postgres fails the statements within the `with`."""
    try:
        yield
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
    """Run the saver's own migrations as one transaction, which leaves nothing in a session that a pooler lends on."""
    migrations = AsyncPostgresSaver.MIGRATIONS
    if await _version(connection) >= len(migrations) - 1:
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        await connection.execute(_WITHIN)
        for number in range(await _version(connection) + 1, len(migrations)):
            await connection.execute(migrations[number].replace(" CONCURRENTLY ", " ").encode())
            await connection.execute(f"INSERT INTO {SCHEMA}.checkpoint_migrations (v) VALUES (%s)", (number,))


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
