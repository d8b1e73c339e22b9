"""Publishing a report: one file below the root, written in one move, that can be taken back."""

import os
import uuid

from agent_tasks import InvalidInput
from agent_tasks.bundled.research.formats.blocks import clean
from agent_tasks.bundled.research.root import below, folder_of, read_bytes


def writable(output: str) -> str:
    """Return `output` as an absolute path. Raises InvalidInput, PermissionDenied: before the work, not after it."""
    path = below(output, "output")
    blocked = os.path.exists(path.parent) and not os.access(path.parent, os.W_OK)
    if os.path.isdir(path) or blocked:
        raise _unwritable(output)
    return str(path)


def save(path: str, report: str) -> str:
    """Write the report in one move: a reader sees either the old file or the new one.

    Raises InvalidInput, PermissionDenied.
    """
    target = below(path, "output")
    draft = f".{uuid.uuid4().hex}.draft"
    try:
        with folder_of(target, make=True) as folder:
            made = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
            try:
                with os.fdopen(made, "w", encoding="utf-8") as file:
                    os.fchmod(file.fileno(), 0o644)
                    file.write(report)
                os.replace(draft, target.name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(draft, dir_fd=folder)
                raise
    except OSError as error:
        raise InvalidInput(f"The report cannot be written: {error}", field="output", value=path) from error
    return path


def remove(path: str, report: str) -> bool:
    """Remove the file if it still holds this report; return False if it has been changed or removed since."""
    target = below(path, "output")
    try:
        if read_bytes(target, "output").decode() != report:
            return False
        with folder_of(target) as folder:
            os.unlink(target.name, dir_fd=folder)
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    return True


def _unwritable(output: str) -> InvalidInput:
    return InvalidInput(f"No report can be written to {output!r}", field="output", value=clean(output))
