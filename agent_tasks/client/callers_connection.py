"""The caller's own connection, which makes a submit part of the caller's transaction."""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar, cast

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.rows import dict_row

from agent_tasks.errors import InvalidInput
from agent_tasks.store.database import Connection

T = TypeVar("T")


def is_async(given: Any) -> bool:
    """Whether this is a connection or session of an event loop: SQLAlchemy's AsyncSession, say."""
    if isinstance(given, psycopg.AsyncConnection):
        return True
    theirs = sys.modules.get("sqlalchemy.ext.asyncio")  # whoever has one of its objects has imported it
    return theirs is not None and isinstance(
        given, theirs.AsyncConnection | theirs.AsyncSession | theirs.async_scoped_session
    )


def driver_connection(given: Any) -> Connection:
    """Return the psycopg connection behind a SQLAlchemy Connection or Session, or `given` itself if it is one.

    A transaction that SQLAlchemy has not begun yet has then begun. Raises InvalidInput for anything else.
    """
    if isinstance(given, psycopg.Connection):
        return cast(Connection, given)
    if is_async(given):
        raise _refused(
            f"connection= is {_a(given)}, which belongs to an event loop: await agent_tasks.aio.submit(..., "
            "connection=...) there, or pass a Session or Connection"
        )
    with _in_words_of_ours():
        if callable(getattr(given, "connection", None)):  # a Session
            given = given.connection()
        if not hasattr(given, "exec_driver_sql"):
            raise _no_connection(given)
        if not given.in_transaction():  # SQLAlchemy must know that its transaction has begun
            given.begin()
        driver = given.connection.driver_connection
    if isinstance(driver, psycopg.AsyncConnection):
        raise _refused(
            "connection= is what run_sync hands to a function: await agent_tasks.aio.submit(..., connection=...) "
            "outside of run_sync, with the AsyncSession or AsyncConnection itself"
        )
    if not isinstance(driver, psycopg.Connection):
        raise _no_connection(driver)
    return cast(Connection, driver)


async def within(given: Any, write: Callable[[Connection], T]) -> T:
    """Run `write`, which is written for a blocking connection, in the transaction of an async one.

    Nothing blocks the event loop, and a cancellation interrupts `write` where it awaits Postgres. Raises InvalidInput
    for a session without a transaction, or on another driver.
    """
    driver = given
    if not isinstance(given, psycopg.AsyncConnection):
        with _in_words_of_ours():
            if inspect.iscoroutinefunction(getattr(type(given), "connection", None)):  # an AsyncSession
                given = await given.connection()
            if not given.in_transaction():
                await given.begin()
            driver = (await given.get_raw_connection()).driver_connection
        if not isinstance(driver, psycopg.AsyncConnection):
            raise _no_connection(driver)
    if find_spec("greenlet") is None:
        raise _refused("connection= is async, for which the package greenlet is needed: install sqlalchemy[asyncio]")
    from sqlalchemy.util import greenlet_spawn

    return await greenlet_spawn(write, cast(Connection, AwaitedConnection(driver)))


class AwaitedConnection:
    """A psycopg.AsyncConnection, used as the blocking one by what runs within `greenlet_spawn`."""

    def __init__(self, driver: "psycopg.AsyncConnection[Any]") -> None:
        self.driver = driver

    @property
    def autocommit(self) -> bool:
        return self.driver.autocommit

    def execute(self, query: Any, params: Any = None) -> "_AwaitedCursor":
        theirs = self.driver.execute
        return _AwaitedCursor(_awaited(theirs(query, params)))

    @contextmanager
    def transaction(self) -> Generator[None]:
        begun = self.driver.transaction()
        _awaited(begun.__aenter__())
        try:
            yield
        except BaseException:
            _awaited(begun.__aexit__(*sys.exc_info()))
            raise
        _awaited(begun.__aexit__(None, None, None))

    def aside(self, function: Callable[[], T]) -> T:
        """Return what a function that blocks returns, run in a thread meanwhile."""
        return _awaited(asyncio.to_thread(function))


class _AwaitedCursor:
    def __init__(self, cursor: "psycopg.AsyncCursor[Any]") -> None:
        self._cursor = cursor

    def fetchone(self) -> Any:
        return _awaited(self._cursor.fetchone())

    def fetchall(self) -> list[Any]:
        return _awaited(self._cursor.fetchall())


def aside(connection: Connection, function: Callable[[], T]) -> T:
    """Return what a function that blocks returns, without blocking the event loop of an async connection."""
    return connection.aside(function) if isinstance(connection, AwaitedConnection) else function()


class _OwnCursor(psycopg.Cursor[Any]):
    """A cursor that reads and writes values as psycopg does by itself, whatever the connection is set to."""

    @property
    def adapters(self) -> AdaptersMap:
        return psycopg.adapters


class _OwnAsyncCursor(psycopg.AsyncCursor[Any]):
    """The same of an async connection."""

    @property
    def adapters(self) -> AdaptersMap:
        return psycopg.adapters


@contextmanager
def borrowed(connection: Connection) -> Generator[None]:
    """Rows are dicts for the transitions, values are psycopg's, and no statement of ours is prepared.

    Whatever the caller's connection is set to is as before when it is given back.
    """
    is_awaited = isinstance(connection, AwaitedConnection)
    driver: Any = connection.driver if is_awaited else connection
    before = driver.row_factory, driver.cursor_factory, driver.prepare_threshold
    cursor = _OwnAsyncCursor if is_awaited else _OwnCursor
    driver.row_factory, driver.cursor_factory, driver.prepare_threshold = dict_row, cursor, None
    try:
        yield
    finally:
        driver.row_factory, driver.cursor_factory, driver.prepare_threshold = before


def _awaited(awaitable: Awaitable[T]) -> T:
    from sqlalchemy.util import await_only

    return await_only(awaitable)


@contextmanager
def _in_words_of_ours() -> Generator[None]:
    """SQLAlchemy's refusals, of a session that is closed or has no transaction, become InvalidInput."""
    from sqlalchemy.exc import InvalidRequestError, NoSuchModuleError

    try:
        yield
    except (InvalidRequestError, NoSuchModuleError) as error:
        raise _refused(f"connection= is not in a transaction that a submit could be part of: {error}") from error


def _no_connection(given: Any) -> InvalidInput:
    return _refused(
        "connection= takes a psycopg.Connection, or a SQLAlchemy Connection or Session (for agent_tasks.aio also their "
        f"async kinds) on psycopg 3, which is postgresql+psycopg://, not {_a(given)}"
    )


def _a(given: Any) -> str:
    kind = type(given)
    driver = kind.__module__.partition(".")[0]
    return f"{kind.__name__} of {driver}" if driver != "builtins" else kind.__name__


def _refused(message: str) -> InvalidInput:
    return InvalidInput(f"{message}.", field="connection")
