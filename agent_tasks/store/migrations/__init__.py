"""The schema's history; `upgrade` brings a database to its head."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.rows import tuple_row
from sqlalchemy import Connection, Engine, create_engine, text

from agent_tasks.errors import InvalidState
from agent_tasks.store.migrations import namespace
from agent_tasks.store.route import connect

_LOCK = 7_203_418_864


def upgrade(database_url: str) -> str:
    """Apply every migration that is missing, one process at a time; returns the revision reached.

    Raises InvalidState where the database was migrated by a newer release.
    """
    engine = _engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        check_known(_current(connection))
        namespace.enter(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
    return head()


def current(database_url: str) -> str | None:
    """The revision a database is at; None before the first migration."""
    engine = _engine(database_url)
    with engine.connect() as connection:
        revision = _current(connection)
    engine.dispose()
    return revision


def check_known(revision: str | None) -> None:
    """Raises InvalidState for a revision that only a newer release knows."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise InvalidState(
            f"The database is at revision {revision}, which agent-tasks {version('agent-tasks')} does not know: a "
            "newer release migrated it. Install that release here.",
            revision=revision,
        )


def head() -> str:
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def _current(connection: Connection) -> str | None:
    table = namespace.version_table(connection)
    return connection.execute(text(f"SELECT version_num FROM {table}")).scalar() if table else None


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def _engine(database_url: str) -> Engine:
    """SQLAlchemy's form of a URL knows neither several hosts nor all parameters, so it is handed connections."""
    own: dict[str, Any] = {"autocommit": False, "row_factory": tuple_row, "prepare_threshold": None}
    return create_engine(
        "postgresql+psycopg://", creator=lambda: connect(database_url, **own), isolation_level="READ COMMITTED"
    )
