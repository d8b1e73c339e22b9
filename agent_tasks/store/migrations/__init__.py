"""The schema's history; `upgrade` brings a database to its head, and `script` prints what would."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.rows import tuple_row
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

from agent_tasks.errors import InvalidInput, InvalidState
from agent_tasks.store.migrations import namespace
from agent_tasks.store.migrations.rights import granting
from agent_tasks.store.route import connect

_LOCK = 7_203_418_864
_TAKE_LOCK = f"SELECT pg_advisory_xact_lock({_LOCK})"


def upgrade(database_url: str) -> str:
    """Apply every migration that is missing, one process at a time; returns the revision reached.

    Raises InvalidState where the database was migrated by a newer release, has a schema of this name that is not ours,
    or does not let its user do it.
    """
    with _connected(database_url) as connection:
        connection.execute(text(_TAKE_LOCK))
        check_known(_current(connection))
        if found := namespace.foreign_tables(connection):
            raise InvalidState(
                f"The database has a schema agent_tasks that is not of agent-tasks: it holds {', '.join(found)}. "
                "Rename it (ALTER SCHEMA agent_tasks RENAME TO …), or take another database."
            )
        config = _config(before=namespace.entering())
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return head()


def script(since: str | None = None, grant: str | None = None) -> str:
    """The SQL that brings a database to the newest revision, in a transaction of its own; needs no database.

    `since`: the revision it is at, or `head`; None: it has nothing yet. `grant`: the role that is to run everything but
    migrations. Raises InvalidInput for a revision that there is none of, or what is no name of a role.
    """
    printed = StringIO()
    before = [_TAKE_LOCK, *namespace.entering_from(_known(since))]
    config = _config(before, after=[] if grant is None else granting(grant), output_buffer=printed)
    command.upgrade(config, f"{_known(since) or 'base'}:head", sql=True)
    return printed.getvalue()


def current(database_url: str) -> str | None:
    """The revision a database is at; None before the first migration.

    Raises InvalidState where its user may not look.
    """
    with _connected(database_url) as connection:
        return _current(connection)


def check_known(revision: str | None) -> None:
    """Raises InvalidState for a revision that only a newer release knows."""
    if revision is not None and revision not in _revisions():
        raise InvalidState(
            f"The database is at revision {revision}, which agent-tasks {version('agent-tasks')} does not know: a "
            "newer release migrated it. Install that release here.",
            revision=revision,
        )


def head() -> str:
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def _known(revision: str | None) -> str | None:
    if revision in (None, "base"):
        return None
    if revision == "head":
        return head()
    if revision not in _revisions():
        raise InvalidInput(
            f"--from {revision} is no revision; there are base, {', '.join(_revisions())} and head.", field="from"
        )
    return revision


def _revisions() -> list[str]:
    return sorted(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _current(connection: Connection) -> str | None:
    table = namespace.version_table(connection)
    return connection.execute(text(f"SELECT version_num FROM {table}")).scalar() if table else None


def _config(before: list[str] | None = None, after: list[str] | None = None, **options: Any) -> Config:
    config = Config(**options)
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes.update(before=before or [], after=after or [])
    return config


@contextmanager
def _connected(database_url: str) -> Generator[Connection]:
    """A transaction. Raises InvalidState that says what to do where the user of the database lacks a right.

    SQLAlchemy's form of a URL knows neither several hosts nor all parameters, so it is handed connections.
    """
    own: dict[str, Any] = {"autocommit": False, "row_factory": tuple_row, "prepare_threshold": None}
    user = ""

    def creator() -> "psycopg.Connection[Any]":
        nonlocal user
        made = connect(database_url, **own)
        user = made.info.user
        return made

    engine = create_engine("postgresql+psycopg://", creator=creator, isolation_level="READ COMMITTED")
    try:
        with engine.begin() as connection:
            yield connection
    except (DBAPIError, psycopg.Error) as error:
        found = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(found, psycopg.errors.InsufficientPrivilege):
            raise
        raise InvalidState(
            f"The user {user} of the database may not do this: {found.diag.message_primary}. Have its owner run what "
            f"`agent-tasks migrate --sql --grant {user}` prints (with --from, if the tables are there)."
        ) from error
    finally:
        engine.dispose()
