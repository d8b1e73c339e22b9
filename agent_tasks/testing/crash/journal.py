"""The journal of a task's lives: a file to which each process that lives one adds lines, up to the moment it is cut."""

import json
import os
import threading
from pathlib import Path
from typing import Any


class Journal:
    """Lines of JSON. Each is in the file when `note` returns, whatever becomes of the process then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._here = threading.local()

    def note(self, what: str, **more: Any) -> None:
        self._here.writes = True
        try:
            os.write(self._file, f"{json.dumps({'what': what, **more}, default=repr)}\n".encode())
        finally:
            self._here.writes = False

    @property
    def is_writing(self) -> bool:
        """Whether this thread is in the midst of a note."""
        return getattr(self._here, "writes", False)

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]

    def close(self) -> None:
        os.close(self._file)
