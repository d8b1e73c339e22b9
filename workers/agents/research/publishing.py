"""Publishing a report: one file, written in one move, that can be taken back."""

import os
import tempfile
from pathlib import Path

from agent_tasks import InvalidInput
from workers.agents.research.formats.blocks import clean


def writable(output: str) -> str:
    """`output` as an absolute path. Raises InvalidInput: better before the work than after it."""
    path = Path(os.path.expanduser(output)).absolute()
    blocked = os.path.exists(path.parent) and not os.access(path.parent, os.W_OK)
    if "\x00" in output or os.path.isdir(path) or blocked:
        raise InvalidInput(f"No report can be written to {output!r}", field="output", value=clean(output))
    return str(path)


def save(path: str, report: str) -> str:
    """Write the report in one move: a reader sees the old file or the new one. Raises InvalidInput."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as file:
            file.write(report)
        os.chmod(file.name, 0o644)
        os.replace(file.name, target)
    except OSError as error:
        raise InvalidInput(f"The report cannot be written: {error}", field="output", value=path) from error
    return path


def remove(path: str, report: str) -> bool:
    """Remove the file if it still holds this report; False where somebody has changed or removed it since."""
    target = Path(path)
    try:
        if target.read_text(encoding="utf-8") != report:
            return False
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    target.unlink(missing_ok=True)
    return True
