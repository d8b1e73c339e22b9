"""The report's file: the one that was named, or a free name that no other demo takes at the same time."""

import fcntl
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agent_tasks.errors import InvalidInput

DEFAULT = Path("report.md")


@contextmanager
def target(output: Path | None) -> Generator[Path]:
    """Reserve the file for the report. Raises InvalidInput, rather before the work than after it."""
    if output is not None:
        _check_folder(output.absolute())
        yield output.absolute()
        return
    number, path = 1, DEFAULT.absolute()
    _check_folder(path)
    with ExitStack() as stack:
        while path.exists() or not _taken(path, stack):
            number += 1
            path = path.with_name(f"{DEFAULT.stem}-{number}{DEFAULT.suffix}")
        yield path


def _taken(path: Path, stack: ExitStack) -> bool:
    """Lock a hidden file beside it, which the demo does not read; a lock ends with its process."""
    lock = path.with_name(f".{path.name}.lock")
    file = lock.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    stack.callback(file.close)
    stack.callback(lock.unlink, missing_ok=True)
    return True


def _check_folder(path: Path) -> None:
    """Check that the folder is writable, since the file is put there in one move. Raises InvalidInput."""
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise InvalidInput(f"The report cannot be written to {path}; name another file with --output.", field="output")
