"""Word of changes from Postgres, where there is no Redis: one connection per process that listens."""

import logging
import queue
import socket
from collections.abc import Callable

import psycopg

from agent_tasks.doorbell.callbacks import Callbacks
from agent_tasks.store.database import Database
from agent_tasks.store.notify import Listener, Pooled

log = logging.getLogger(__name__)
_RECONNECT_SECONDS = 1.0
_PING_SECONDS = 2.0
"""The seconds of silence before Postgres is asked whether it is there."""


class PostgresNotices(Callbacks):
    """Calls back on what is sent by NOTIFY. Behind a pooler, which passes none on, nothing is heard."""

    hears = False

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._commands: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
        self._waking, self._woken = socket.socketpair()
        for end in (self._waking, self._woken):
            end.setblocking(False)
        self._is_away = False
        self._is_pooled = False

    def close(self) -> None:
        self._closed.set()
        self._wake()

    def _duties(self) -> tuple[Callable[[], None], ...]:
        return (self._run,)

    def _subscribe(self, channel: str) -> None:
        self._command(channel, True)

    def _unsubscribe(self, channel: str) -> None:
        self._command(channel, False)

    def _command(self, channel: str, is_wanted: bool) -> None:
        if self._is_pooled:
            return  # nobody takes it
        self._commands.put((channel, is_wanted))
        self._wake()

    def _wake(self) -> None:
        try:
            self._waking.send(b"1")
        except BlockingIOError:
            return  # it is full of earlier ones

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with Listener(self._database, lambda channel, text: self._dispatch([channel], text)) as listener:
                    self._listen(listener)
            except Pooled:
                log.info("a pooler passes no notices on; waiting polls Postgres instead")
                with self._lock:
                    self._is_pooled, self._commands = True, queue.SimpleQueue()
                return
            except psycopg.Error as error:
                if not self._is_away and not self._closed.is_set():
                    log.warning("Postgres sends no notices; waiting polls it instead: %s", error)
                self._is_away = True
            except Exception:  # the thread must outlive any surprise
                if not self._is_away:
                    log.exception("no notices are heard; waiting polls Postgres instead")
                self._is_away = True
            finally:
                self.hears = False
            self._closed.wait(_RECONNECT_SECONDS)

    def _listen(self, listener: Listener) -> None:
        with self._lock:
            channels = list(self._callbacks)
        self._change(listener, dict.fromkeys(channels, True))
        if self._is_away:
            log.info("Postgres sends notices again")
        self._is_away, self.hears = False, True
        while not self._closed.is_set():
            if not listener.hear(self._woken.fileno(), _PING_SECONDS):
                listener.ask()
            self._change(listener, self._asked())

    def _asked(self) -> dict[str, bool]:
        """What was asked for since the last look, by channel: whether to listen to it."""
        try:
            self._woken.recv(4096)
        except BlockingIOError:
            return {}
        asked: dict[str, bool] = {}
        while not self._commands.empty():
            channel, is_wanted = self._commands.get()
            asked[channel] = is_wanted
        return asked

    def _change(self, listener: Listener, asked: dict[str, bool]) -> None:
        if not asked:
            return
        wanted = [channel for channel, is_wanted in asked.items() if is_wanted]
        listener.ask(wanted, [channel for channel, is_wanted in asked.items() if not is_wanted])
        self._dispatch(wanted, None)  # what happened before it was listened to was not heard
