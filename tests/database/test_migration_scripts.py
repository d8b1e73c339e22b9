"""`migrate --sql`: what it prints makes what the migrations make, from nothing and from any revision."""

from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from agent_tasks import InvalidInput
from agent_tasks.cli.application import app
from agent_tasks.store import migrations
from agent_tasks.store.migrations import current, head, namespace, script, upgrade
from tests.database.test_schema import DUMP, FILLED, counted, described, engine_of, fresh_database, load

FUNCTIONS = """
    SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'agent_tasks'::regnamespace ORDER BY 1
"""
TRIGGERS = """
    SELECT pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE relnamespace = 'agent_tasks'::regnamespace AND NOT tgisinternal ORDER BY 1
"""


def whole(connection: Connection) -> list[tuple[object, ...]]:
    """All that the schema holds, with what its triggers do."""
    made = [tuple(row) for sql in (FUNCTIONS, TRIGGERS) for row in connection.execute(text(sql))]
    return [*described(connection), *made]


def run(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql)  # type: ignore[arg-type]


def revisions() -> list[str]:
    folder = Path(migrations.__file__).parent / "versions"
    return sorted(path.stem[:4] for path in folder.glob("[0-9]*.py"))


def test_the_script_makes_what_the_migrations_make(server_urls: tuple[str, str]) -> None:
    with fresh_database(server_urls[0]) as printed, fresh_database(server_urls[0]) as migrated:
        run(printed, CliRunner().invoke(app, ["migrate", "--sql"]).stdout)
        upgrade(migrated)
        assert current(printed) == head()
        with engine_of(printed) as one, engine_of(migrated) as other, one.connect() as a, other.connect() as b:
            assert whole(a) == whole(b)


@pytest.mark.slow
def test_the_script_goes_on_from_every_revision(server_urls: tuple[str, str]) -> None:
    with fresh_database(server_urls[0]) as migrated, fresh_database(server_urls[0]) as url:
        upgrade(migrated)
        with engine_of(migrated) as engine, engine.connect() as connection:
            expected = whole(connection)
        with engine_of(url) as engine:
            for revision in revisions():
                with engine.begin() as connection:
                    config = migrations._config(before=namespace.entering())  # pyright: ignore[reportPrivateUsage]
                    config.attributes["connection"] = connection
                    command.upgrade(config, revision)
                with engine.connect() as connection:
                    uncommitted = script(revision).rstrip().removeprefix("BEGIN;").removesuffix("COMMIT;")
                    uncommitted += "SET LOCAL search_path TO DEFAULT"
                    connection.connection.cursor().execute(uncommitted)  # its % and : are no parameters
                    assert whole(connection) == expected, revision
                    connection.rollback()


def test_the_script_moves_a_database_of_0_1_0_into_the_schema(server_urls: tuple[str, str]) -> None:
    with fresh_database(server_urls[0]) as url:
        load(url, DUMP)
        with psycopg.connect(url) as connection:
            before = {table: counted(connection, f"public.{table}") for table in FILLED}
        run(url, script("0003"))
        assert current(url) == head()
        with psycopg.connect(url) as connection:
            assert {table: counted(connection, f"agent_tasks.{table}") for table in FILLED} == before


def test_a_script_for_another_revision_changes_nothing_and_says_which_to_print(server_urls: tuple[str, str]) -> None:
    with fresh_database(server_urls[0]) as url:
        with pytest.raises(psycopg.errors.RaiseException, match=r"at revision none, not 0012.*--from base"):
            run(url, script("0012"))
        assert current(url) is None
        run(url, script())
        for since, named in ((None, "none"), ("0012", "0012")):
            with pytest.raises(psycopg.errors.RaiseException, match=f"at revision {head()}, not {named}"):
                run(url, script(since))


def test_a_script_is_refused_for_what_is_no_revision_and_no_role() -> None:
    with pytest.raises(InvalidInput, match="--from 12 is no revision; there are base, 0001"):
        script("12")
    for wrong in ("", "a" * 64, "a\0"):
        with pytest.raises(InvalidInput, match="--grant"):
            script(grant=wrong)
    for option in ("--from", "--grant"):
        result = CliRunner().invoke(app, ["migrate", option, "x"])
        assert (result.exit_code, "goes with --sql" in result.stderr) == (2, True)
