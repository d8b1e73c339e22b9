"""Keeping the log records of steps with their tasks: gathered, and written together beside the commits."""

import logging
import threading
from collections import deque
from datetime import UTC, datetime

from agent_tasks.authoring.place import place
from agent_tasks.deployment import Deployment
from agent_tasks.storable import storable
from agent_tasks.store.errors import Transient
from agent_tasks.transitions.logs import NewLog, keep

log = logging.getLogger(__name__)
_SECONDS = 0.5
_GATHERED = 10_000
"""Records that wait to be written, at most: where Postgres is away the oldest go first."""
_BATCH = 1000
_LONGEST = 8000
_ENDS = "\n[…]"


class KeptLogs(logging.Handler):
    """A handler that keeps what steps log, but for those of sensitive tasks; it never waits for Postgres."""

    def __init__(self, deployment: Deployment, most: int) -> None:
        """`most`: how many records of one task are kept."""
        super().__init__()
        self._deployment = deployment
        self._most = most
        self._records: deque[NewLog] = deque(maxlen=_GATHERED)
        self._noted = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-tasks-logs", daemon=True)

    def start(self) -> None:
        logging.getLogger().addHandler(self)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        here = place.get()
        if here is None or here.is_sensitive:
            return
        try:
            message = record.getMessage()
            if record.exc_info:
                message = f"{message}\n{logging.Formatter().formatException(record.exc_info)}"
        except Exception:  # what a step logs may be anything; the other handlers say so
            self.handleError(record)
            return
        self._records.append(
            {
                "task_id": str(here.task_id),
                "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
                "level": record.levelname.lower(),
                "logger": storable(record.name),
                "message": storable(message if len(message) <= _LONGEST else message[:_LONGEST] + _ENDS),
                "step": here.step,
                "step_number": here.step_number,
                "run": here.run,
            }
        )
        self._noted.set()

    def stop(self) -> None:
        """Write what is left, and end."""
        logging.getLogger().removeHandler(self)
        self._closed.set()
        self._noted.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._noted.wait()
            self._closed.wait(_SECONDS)
            self._noted.clear()
            while self._records:
                batch = [self._records.popleft() for _ in range(min(_BATCH, len(self._records)))]
                if not self._write(batch):
                    break

    def _write(self, batch: list[NewLog]) -> bool:
        try:
            self._deployment.database.run(lambda connection: keep(connection, batch, most=self._most))
        except Transient as error:
            log.warning(
                "log records of steps are not kept, Postgres cannot be reached: records=%d %s", len(batch), error
            )
            return False
        except Exception:  # the thread must outlive any surprise
            log.exception("log records of steps are not kept: records=%d", len(batch))
        return True
