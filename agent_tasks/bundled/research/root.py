"""The folders below which the bundled agents read and write, and the only way in: symlinks lead nowhere else."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent_tasks import InvalidInput, PermissionDenied
from agent_tasks.bundled.research.formats.blocks import clean
from agent_tasks.settings import data_dir


def roots() -> list[Path]:
    """Return the folders that AGENT_TASKS_BUNDLED_ROOT names; by default one of the agents' own."""
    named = [part for part in os.environ.get("AGENT_TASKS_BUNDLED_ROOT", "").split(os.pathsep) if part.strip()]
    folders = [Path(os.path.expanduser(part)) for part in named] or [data_dir() / "documents"]
    return [Path(os.path.realpath(folder)) for folder in folders]


def below(given: str | Path, field: str) -> Path:
    """Return the real path of `given`, which is taken from the first root if it is relative.

    Raises InvalidInput for an impossible path, PermissionDenied if it is below no root, whether or not it exists.
    """
    folders = roots()
    try:
        real = Path(os.path.realpath(folders[0] / os.path.expanduser(given)))
    except ValueError:  # NUL, or text that no bytes encode
        raise InvalidInput(f"No such file or folder: {given!r}", field=field, value=clean(str(given))) from None
    if _root_of(real, folders) is None:
        raise PermissionDenied(
            f"{clean(str(given))!r} is not below {' or '.join(map(str, folders))}, the only place where the bundled "
            f"agents read and write. Put it there, or name its folder in AGENT_TASKS_BUNDLED_ROOT.",
            field=field,
            value=clean(str(given)),
        )
    return real


def is_below(path: Path) -> bool:
    """Whether the file that `path` really is lies below a root."""
    return _root_of(Path(os.path.realpath(path)), roots()) is not None


def read_bytes(path: Path, field: str = "paths", most: int = -1) -> bytes:
    """Return the first `most` bytes of a file below a root. Raises PermissionDenied, OSError."""
    real = below(path, field)
    with folder_of(real) as folder:
        # Opening a pipe would wait, and a link here was not there when the real path was found.
        file = os.open(real.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(file, "rb") as opened:
            return opened.read(most)


@contextmanager
def folder_of(real: Path, *, make: bool = False) -> Generator[int]:
    """Open the folder of a real path below a root part by part, following no link that is put there meanwhile.

    With `make`, missing parts are made. Raises OSError.
    """
    root = _root_of(real, roots())
    assert root is not None
    start = root.parent if root == real else root
    if make:
        start.mkdir(parents=True, exist_ok=True)
    folder = os.open(start, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in real.relative_to(start).parts[:-1]:
            if make:
                _make(name, folder)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _make(name: str, folder: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)


def _root_of(real: Path, folders: list[Path]) -> Path | None:
    return next((folder for folder in folders if real.is_relative_to(folder)), None)
