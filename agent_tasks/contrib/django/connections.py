"""Django's connections in a worker: fresh for each step and call, and alive again after Postgres was away."""

import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from weakref import WeakSet

import psycopg
from asgiref.sync import sync_to_async
from django.db import close_old_connections, connections, reset_queries

from agent_tasks.store.database import has_ended

_here = threading.local()
_lock = threading.Lock()
_elsewhere: "WeakSet[Any]" = WeakSet()
"""Connections that were made outside of plain code of ours: most likely in the thread of `sync_to_async`."""
_async_now = 0
"""How many async steps and calls are at work."""


@contextmanager
def kept_fresh() -> Generator[None]:
    """Around plain code: begin with connections that answer, and leave none behind that is over its age.

    A call within a step leaves the step's connections as they are, unless they are dead: the step may be reading from a
    cursor, or be in the midst of a transaction.
    """
    depth = getattr(_here, "depth", 0)
    _here.depth = depth + 1
    try:
        if depth == 0:
            reset_queries()
            close_old_connections()
        close_dead_connections()
        yield
    finally:
        _here.depth = depth
        if depth == 0:
            close_old_connections()


@asynccontextmanager
async def kept_fresh_for_async() -> AsyncGenerator[None]:
    """Around async code, whose ORM works in the one thread of `sync_to_async`, for all steps together.

    Dead connections are closed before it begins, in that thread. One that is over its age is closed when no async code
    is left: what another step reads from it is not to be cut off. Without either there is no hop to that thread.
    """
    global _async_now
    with _lock:
        _async_now += 1
    try:
        if any(_is_dead(each) for each in _noted()):
            await sync_to_async(close_dead_connections)()
        yield
    finally:
        with _lock:
            _async_now -= 1
        if any(_is_over(each) for each in _noted()):
            await sync_to_async(_close_if_nobody_works)()


def note_connection(connection: Any, **_: Any) -> None:
    """Note a connection that Django has made, unless plain code of ours asked for it, which sees to its own."""
    if not getattr(_here, "depth", 0):
        with _lock:
            _elsewhere.add(connection)


def _noted() -> list[Any]:
    with _lock:
        return list(_elsewhere)


def close_dead_connections() -> None:
    """Close this thread's connections that Postgres has closed, so that the next query opens new ones."""
    for connection in connections.all(initialized_only=True):
        if not _is_dead(connection):
            continue
        if connection.is_usable():
            connection.errors_occurred = False
        else:
            connection.close()


def _close_if_nobody_works() -> None:
    if not _async_now:
        close_old_connections()


def _is_dead(connection: Any) -> bool:
    """Whether a connection seems dead: it had errors, or the server has closed it. Asks nobody."""
    driver = connection.connection
    if driver is None or connection.in_atomic_block:
        return False
    if connection.errors_occurred or not isinstance(driver, psycopg.Connection):
        return bool(connection.errors_occurred)
    return driver.closed or has_ended(driver)


def _is_over(connection: Any) -> bool:
    closes = connection.close_at
    return connection.connection is not None and closes is not None and time.monotonic() >= closes
