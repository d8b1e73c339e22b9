"""Word of changes by Postgres: NOTIFY, and a connection that hears it."""

import select
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from psycopg import sql

from agent_tasks.store import session
from agent_tasks.store.database import Connection, Database
from agent_tasks.store.route import RoutedConnection

# One commit for all of them, which waits for no disk: who hears nothing looks by himself.
_NOTIFY = """
    SELECT set_config('synchronous_commit', 'off', true), pg_notify(channel, word)
    FROM unnest(%s::text[], %s::text[]) AS words (channel, word)
"""
_LISTEN, _UNLISTEN = sql.SQL("LISTEN {}"), sql.SQL("UNLISTEN {}")
_ALWAYS = "SELECT set_config('idle_session_timeout', '0', false)"
_PING = "SELECT 1"


class Pooled(Exception):
    """A pooler stands between, which passes no notices on."""


def notify(connection: Connection, words: Sequence[tuple[str, str]]) -> None:
    """Send each word on its channel."""
    channels, texts = [channel for channel, _ in words], [text for _, text in words]
    connection.execute(_NOTIFY, [channels, texts], prepare=False)


class Listener:
    """A connection of its own that hears words; a context, within which it is open. For one thread."""

    def __init__(self, database: Database, heard: Callable[[str, str], None]) -> None:
        """`heard` is called with the channel and the text of each word."""
        self._database = database
        self._heard = heard

    def __enter__(self) -> Self:
        """Raises Pooled, and psycopg.Error where Postgres is away."""
        self._connection = self._database.route.connect(RoutedConnection, prepare_threshold=None)
        try:
            self._connection.add_notify_handler(lambda notice: self._heard(notice.channel, notice.payload))
            with self._database.watched(self._connection):
                if session.begin(self._connection).is_pooled:
                    raise Pooled
                self._connection.execute(_ALWAYS)
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Listen to channels, and to others no more, and have Postgres answer.

        Words that are there by then are heard. Raises psycopg.Error.
        """
        said = [_UNLISTEN.format(sql.Identifier(name)) for name in remove]
        said += [_LISTEN.format(sql.Identifier(name)) for name in add]
        with self._database.watched(self._connection):
            if said:
                self._connection.execute(sql.SQL("; ").join(said))
            self._connection.execute(_PING)

    def hear(self, waking: int, seconds: float) -> bool:
        """Wait for words, or for the file `waking` to be readable; return whether there was either."""
        waiting = select.poll()
        for file in (self._connection.fileno(), waking):
            waiting.register(file, select.POLLIN)
        found = {file for file, _ in waiting.poll(seconds * 1000)}
        if self._connection.fileno() in found:
            connection = self._connection.pgconn
            connection.consume_input()
            while (notice := connection.notifies()) is not None:
                self._heard(notice.relname.decode(), notice.extra.decode())
        return bool(found)
