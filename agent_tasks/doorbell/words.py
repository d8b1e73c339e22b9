"""Word of changes for who listens on Postgres, where there is no Redis: sent after the commit, by a thread."""

import logging
import threading
from collections.abc import Iterable

from agent_tasks.store.database import Database
from agent_tasks.store.errors import Transient
from agent_tasks.store.notify import notify

log = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.01
"""The least time between two commits with words: commits that notify wait for each other in all of Postgres."""
_MOST = 1000
"""How many words go with one commit."""


class Words:
    """Gathers words and sends them together. Those that cannot be sent are lost: who waits looks by himself, too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._words: dict[tuple[str, str], None] = {}
        self._told = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self, words: Iterable[tuple[str, str]]) -> None:
        """Have each text sent on its channel, soon. From any thread."""
        with self._lock:
            self._words.update(dict.fromkeys(words))
            if not self._words:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="agent-tasks-words", daemon=True)
                self._thread.start()
        self._told.set()

    def close(self) -> None:
        """Send what is there, and end the thread."""
        self._closed.set()
        self._told.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._told.wait()
            self._told.clear()
            is_last = self._closed.is_set()
            try:
                self._send()
            except Transient as error:
                log.debug("words not sent, Postgres cannot be reached: %s", error)
            except Exception:  # who waits is only later; the thread must outlive any surprise
                log.exception("words not sent")
            self._closed.wait(_PAUSE_SECONDS)

    def _send(self) -> None:
        with self._lock:
            words, self._words = list(self._words), {}
        for start in range(0, len(words), _MOST):
            with self._database.connection() as connection:
                notify(connection, words[start : start + _MOST])
