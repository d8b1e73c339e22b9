"""An awaited submit in the transaction of an AsyncSession, an AsyncConnection or psycopg's own connection."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row
from psycopg.types.json import set_json_loads
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import agent_tasks
from agent_tasks import AgentTasks, IdempotencyConflict, InvalidInput, UnknownAgent, aio
from agent_tasks.aio import AsyncAgentTasks
from tests.database import query
from tests.database.test_callers_transaction import bells, count
from tests.eventually import eventually

Open = Callable[[AgentTasks], AbstractAsyncContextManager[Any]]


def sqlalchemy_url(client: AgentTasks) -> str:
    return client.settings.database_url.replace("postgresql://", "postgresql+psycopg://", 1)


@asynccontextmanager
async def engine_of(client: AgentTasks, **options: Any) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(sqlalchemy_url(client), **options)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def a_session(client: AgentTasks) -> AsyncIterator[AsyncSession]:
    async with engine_of(client) as engine, AsyncSession(engine) as session:
        yield session


@asynccontextmanager
async def a_connection(client: AgentTasks) -> AsyncIterator[AsyncConnection]:
    async with engine_of(client) as engine, engine.connect() as connection:
        yield connection


@asynccontextmanager
async def of_psycopg(client: AgentTasks) -> AsyncIterator["psycopg.AsyncConnection[Any]"]:
    async with await psycopg.AsyncConnection.connect(client.settings.database_url) as connection:
        yield connection


KINDS: dict[str, Open] = {"AsyncSession": a_session, "AsyncConnection": a_connection, "psycopg": of_psycopg}


@pytest.fixture(params=KINDS)
def open_mine(request: pytest.FixtureRequest) -> Open:
    return KINDS[request.param]


@pytest.fixture
def tasks(client: AgentTasks) -> AsyncAgentTasks:
    return AsyncAgentTasks(client)


def test_the_id_is_there_at_once_and_the_task_with_the_commit(tasks: AsyncAgentTasks, open_mine: Open) -> None:
    client = tasks.blocking

    async def submitted() -> list[str]:
        async with open_mine(client) as mine:
            one = await tasks.submit("echo", {"value": 1}, connection=mine, idempotency_key="k")
            again = await tasks.submit("echo", {"value": 1}, connection=mine, idempotency_key="k")
            many = await tasks.submit_many("echo", [{"value": n} for n in range(2)], connection=mine)
            assert one == again
            assert count(client) == 0
            await mine.commit()
            return [str(task.id) for task in (one, *many)]

    ids = asyncio.run(submitted())
    eventually(lambda: sorted(bells(client)) == sorted(ids), timeout=5)


def test_a_rollback_leaves_nothing(tasks: AsyncAgentTasks, open_mine: Open) -> None:
    client = tasks.blocking

    async def submitted() -> None:
        async with open_mine(client) as mine:
            await tasks.submit("echo", connection=mine, idempotency_key="k")
            await tasks.submit_many("echo", [{"value": n} for n in range(2)], connection=mine)
            await mine.rollback()

    asyncio.run(submitted())
    assert [count(client, table) for table in ("tasks", "events", "idempotency_keys")] == [0, 0, 0]
    eventually(lambda: not client._after_commit._watched)
    assert bells(client) == []


def test_the_task_is_committed_with_the_callers_rows_and_not_one_without_the_other(tasks: AsyncAgentTasks) -> None:
    client = tasks.blocking
    query(client, "CREATE TABLE public.orders (id int, task uuid)")

    async def order(number: int, *, fails: bool) -> None:
        async with a_session(client) as session, session.begin():
            task = await tasks.submit("echo", connection=session)
            await session.execute(text("INSERT INTO public.orders VALUES (:n, :t)"), {"n": number, "t": task.id})
            if fails:
                raise LookupError("sold out")

    asyncio.run(order(1, fails=False))
    with pytest.raises(LookupError):
        asyncio.run(order(2, fails=True))
    assert query(client, "SELECT o.id FROM public.orders o JOIN agent_tasks.tasks t ON t.id = o.task") == [{"id": 1}]
    assert count(client) == 1


def test_what_was_rolled_back_to_a_savepoint_is_not_there_and_not_rung_for(tasks: AsyncAgentTasks) -> None:
    client = tasks.blocking

    async def submitted() -> str:
        async with a_session(client) as session, session.begin():
            nested = await session.begin_nested()
            await tasks.submit("echo", connection=session)
            await nested.rollback()
            async with session.begin_nested():
                return str((await tasks.submit("echo", connection=session)).id)

    kept = asyncio.run(submitted())
    eventually(lambda: bells(client) == [kept], timeout=5)
    assert count(client) == 1


def test_a_blocking_session_keeps_savepoints_apart_too(client: AgentTasks) -> None:
    engine = create_engine(sqlalchemy_url(client))
    with Session(engine) as session, session.begin():
        nested = session.begin_nested()
        client.submit("echo", connection=session)
        nested.rollback()
        with session.begin_nested():
            kept = client.submit("echo", connection=session)
    engine.dispose()
    eventually(lambda: bells(client) == [str(kept.id)], timeout=5)
    assert count(client) == 1


def test_the_event_loop_is_not_blocked_while_a_rival_holds_the_key(tasks: AsyncAgentTasks) -> None:
    client = tasks.blocking

    async def submitted() -> None:
        async with a_session(client) as first, a_session(client) as second:
            one = await tasks.submit("echo", connection=first, idempotency_key="k")
            waiting = asyncio.create_task(tasks.submit("echo", connection=second, idempotency_key="k"))
            while not await asyncio.to_thread(query, client, BLOCKED):
                assert not waiting.done()
            await first.commit()
            assert await waiting == one
            await second.rollback()

    asyncio.run(asyncio.wait_for(submitted(), 30))


BLOCKED = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def test_a_cancelled_submit_writes_nothing_more_and_leaves_the_session_to_its_rollback(tasks: AsyncAgentTasks) -> None:
    client = tasks.blocking

    async def submitted() -> None:
        async with a_session(client) as first, a_session(client) as second:
            await tasks.submit("echo", connection=first, idempotency_key="k")
            waiting = asyncio.create_task(tasks.submit("echo", connection=second, idempotency_key="k"))
            while not await asyncio.to_thread(query, client, BLOCKED):
                assert not waiting.done()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await second.rollback()
            await tasks.submit("echo", connection=second)
            await second.commit()
            await first.rollback()

    asyncio.run(asyncio.wait_for(submitted(), 30))
    assert count(client) == 1


def test_no_thread_is_held_by_submits_that_wait_for_a_key(tasks: AsyncAgentTasks) -> None:
    """More of them than there are threads, and the one that they wait for still needs one."""
    client = tasks.blocking

    async def submitted() -> None:
        async with engine_of(client, pool_size=20) as engine, AsyncSession(engine) as first:
            one = await tasks.submit("echo", connection=first, idempotency_key="k")

            async def rival() -> None:
                async with AsyncSession(engine) as session:
                    assert await tasks.submit("echo", connection=session, idempotency_key="k") == one

            rivals = [asyncio.create_task(rival()) for _ in range(18)]
            while len(await asyncio.to_thread(query, client, BLOCKED)) < 18:
                assert not any(task.done() for task in rivals)
            await tasks.submit("echo", connection=first)
            await first.commit()
            await asyncio.gather(*rivals)

    asyncio.run(asyncio.wait_for(submitted(), 60))
    assert count(client) == 2
    assert sum(thread.name.startswith("agent-tasks-aio") for thread in threading.enumerate()) <= 16


def test_the_connection_is_left_as_it_was(tasks: AsyncAgentTasks) -> None:
    client = tasks.blocking

    async def submitted() -> None:
        url = client.settings.database_url
        async with await psycopg.AsyncConnection.connect(url, row_factory=namedtuple_row) as connection:
            set_json_loads(lambda text: "theirs", connection)
            task = await tasks.submit(
                "echo", {"value": 1}, metadata={"a": 1}, connection=connection, idempotency_key="k"
            )
            assert task.blocking._seen is not None
            assert task.blocking._seen.metadata == {"a": 1}
            with pytest.raises(IdempotencyConflict):
                await tasks.submit("echo", {"value": 2}, connection=connection, idempotency_key="k")
            assert connection.row_factory is namedtuple_row
            assert connection.cursor_factory is psycopg.AsyncCursor
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
            await connection.commit()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await tasks.submit("echo", {"value": 1}, connection=connection, idempotency_key="l")
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE

    asyncio.run(submitted())
    assert count(client) == 2
    eventually(lambda: len(bells(client)) == 2, timeout=5)


def test_a_request_that_is_refused_leaves_the_session_untouched(tasks: AsyncAgentTasks) -> None:
    async def submitted() -> None:
        async with a_session(tasks.blocking) as session:
            with pytest.raises(UnknownAgent):
                await tasks.submit("nobody", connection=session)
            with pytest.raises(InvalidInput):
                await tasks.submit("echo", priority=99, connection=session)
            assert not session.in_transaction()

    asyncio.run(submitted())


def test_an_async_session_is_refused_by_the_blocking_submit_which_names_the_other(client: AgentTasks) -> None:
    async def submitted() -> None:
        for open_one in KINDS.values():
            async with open_one(client) as mine:
                with pytest.raises(InvalidInput, match=r"aio\.submit") as caught:
                    client.submit("echo", connection=mine)
                assert caught.value.details["field"] == "connection"
        async with a_session(client) as session:
            with pytest.raises(InvalidInput, match="outside of run_sync"):
                await session.run_sync(lambda blocking: client.submit("echo", connection=blocking))

    asyncio.run(submitted())
    assert count(client) == 0


def test_a_session_that_has_no_transaction_is_refused(tasks: AsyncAgentTasks) -> None:
    client = tasks.blocking

    async def submitted() -> None:
        async with engine_of(client) as engine:
            async with AsyncSession(engine, autobegin=False) as session:
                with pytest.raises(InvalidInput, match=r"not in a transaction.*begin\(\)"):
                    await tasks.submit("echo", connection=session)
            async with AsyncSession(engine) as session, session.begin():
                await session.commit()
                with pytest.raises(InvalidInput, match="not in a transaction"):
                    await tasks.submit("echo", connection=session)
            async with engine.connect() as connection:
                pass
            with pytest.raises(InvalidInput, match="not in a transaction"):
                await tasks.submit("echo", connection=connection)
        async with AsyncSession() as session:
            with pytest.raises(InvalidInput, match="not in a transaction"):
                await tasks.submit("echo", connection=session)

    asyncio.run(submitted())
    closed = create_engine(sqlalchemy_url(client)).connect()
    closed.close()
    with pytest.raises(InvalidInput, match="not in a transaction"):
        client.submit("echo", connection=closed)
    assert count(client) == 0


def test_a_session_on_another_database_is_refused_and_its_transaction_goes_on(
    tasks: AsyncAgentTasks, server_urls: tuple[str, str]
) -> None:
    client = tasks.blocking
    elsewhere = server_urls[0].replace("postgresql://", "postgresql+psycopg://", 1)

    async def submitted() -> None:
        engine = create_async_engine(elsewhere)
        async with AsyncSession(engine) as session:
            with pytest.raises(InvalidInput, match=r"is to the database .*AGENT_TASKS_DATABASE_URL"):
                await tasks.submit("echo", connection=session)
            assert (await session.execute(text("SELECT 1"))).scalar_one() == 1
        await engine.dispose()

    asyncio.run(submitted())
    with psycopg.connect(server_urls[0]) as connection:
        with pytest.raises(InvalidInput, match="is to the database") as caught:
            client.submit("echo", connection=connection)
        assert caught.value.details["field"] == "connection"
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_was_restarted_is_known_again(client: AgentTasks) -> None:
    with psycopg.connect(client.settings.database_url) as connection:
        client.submit("echo", connection=connection)
        assert client._place is not None
        client._place["server"] -= 1  # as it was before
        client.submit("echo", connection=connection)
    assert count(client) == 2


class Connection:
    """As a connection of another driver is named."""

    __module__ = "asyncpg.connection"


def test_a_connection_of_another_driver_is_named_with_what_to_use_in_its_place(tasks: AsyncAgentTasks) -> None:
    with pytest.raises(InvalidInput, match=r"postgresql\+psycopg://, not Connection of asyncpg"):
        asyncio.run(tasks.submit("echo", connection=Connection()))
    engine = create_engine("sqlite://")
    with Session(engine) as session, pytest.raises(InvalidInput, match="not Connection of sqlite3"):
        tasks.blocking.submit("echo", connection=session)
    with pytest.raises(InvalidInput, match="not Engine of sqlalchemy"):
        tasks.blocking.submit("echo", connection=engine)
    assert count(tasks.blocking) == 0


def test_without_greenlet_the_package_is_named(tasks: AsyncAgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_tasks.client.callers_connection.find_spec", lambda name: None)

    async def submitted() -> None:
        async with of_psycopg(tasks.blocking) as connection:
            with pytest.raises(InvalidInput, match="greenlet"):
                await tasks.submit("echo", connection=connection)

    asyncio.run(submitted())


def test_the_functions_of_the_module_take_an_async_session(
    tasks: AsyncAgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_tasks, "_default", tasks.blocking)

    async def submitted() -> None:
        async with a_session(tasks.blocking) as session:
            await aio.submit("echo", connection=session)
            await aio.submit_many("echo", [{}, {}], connection=session)
            await session.commit()

    asyncio.run(submitted())
    assert count(tasks.blocking) == 3
