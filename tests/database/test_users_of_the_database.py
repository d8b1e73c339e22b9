"""A user of the database without the rights of its owner: what works, and what says which right is missing."""

from collections.abc import Iterator

import psycopg
import pytest
from typer.testing import CliRunner

from agent_tasks import AgentTasks, InvalidState, Settings
from agent_tasks.cli.application import app
from agent_tasks.engine.process.registration import NEWEST
from agent_tasks.store.migrations import head, script, upgrade
from agent_tasks.store.queries.readiness import obstacle
from agent_tasks.transitions.statistics import analyze_grown
from tests.database import query
from tests.database.everything import everything
from tests.database.test_schema import fresh_database
from tests.roles import acting_as, role


@pytest.fixture
def granted(settings: Settings) -> Iterator[AgentTasks]:
    """A deployment whose user was granted what the script grants."""
    with role(settings.database_url) as name:
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            connection.execute(script("head", grant=name))  # type: ignore[arg-type]
        client = AgentTasks(settings.model_copy(update={"database_url": acting_as(name, settings.database_url)}))
        yield client
        client.close()


def in_force(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)


def said_by(command: str) -> str:
    result = CliRunner().invoke(app, [command])
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_a_role_that_may_only_read_and_write_rows_does_everything_but_migrate(granted: AgentTasks) -> None:
    everything(granted)


def test_a_role_that_may_not_migrate_may_find_that_there_is_nothing_to_do(granted: AgentTasks) -> None:
    assert upgrade(granted.settings.database_url) == head()


def test_tables_that_have_grown_are_analyzed_by_whoever_may(granted: AgentTasks) -> None:
    granted.submit_many("echo", [{"value": "x" * 500} for _ in range(1000)])
    server = query(granted, "SELECT current_setting('server_version_num')::int AS n")[0]["n"]
    with granted.database.connection() as connection:
        assert ("tasks" in analyze_grown(connection)) is (server >= 170000)


def test_a_user_who_may_do_nothing_is_told_what_to_have_printed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with role(settings.database_url) as name:
        settings = settings.model_copy(update={"database_url": acting_as(name, settings.database_url)})
        in_force(settings, monkeypatch)
        with pytest.raises(InvalidState, match=f"user {name} .* may not .*--sql --grant {name}"):
            upgrade(settings.database_url)
        assert f"agent-tasks migrate --sql --grant {name}" in said_by("migrate")
        doctor = said_by("doctor")
        assert f"the user {name} of the database lacks USAGE of the schema agent_tasks" in doctor
        assert f"agent-tasks migrate --sql --from head --grant {name}" in doctor
        assert "permission denied" in said_by("ps")


def test_a_user_who_lacks_a_right_on_a_table_is_told_which(settings: Settings) -> None:
    few = (
        "GRANT USAGE ON SCHEMA agent_tasks TO {role}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA agent_tasks TO {role}",
        "REVOKE INSERT, DELETE ON agent_tasks.events FROM {role}",
    )
    with role(settings.database_url, *few) as name:
        client = AgentTasks(settings.model_copy(update={"database_url": acting_as(name, settings.database_url)}))
        with client.database.connection() as connection:
            found = obstacle(connection, NEWEST)
        client.close()
    assert found is not None
    assert found.found.endswith("lacks rights on events (DELETE, INSERT)")


def test_a_user_who_may_not_make_the_schema_is_told_so(
    server_urls: tuple[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_database(server_urls[0]) as url, role(url) as name:
        in_force(settings.model_copy(update={"database_url": acting_as(name, url)}), monkeypatch)
        assert "permission denied for database" in (said := said_by("migrate"))
        assert f"`agent-tasks migrate --sql --grant {name}`" in said


def test_a_schema_of_that_name_that_is_not_ours_is_left_alone(
    server_urls: tuple[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_database(server_urls[0]) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA agent_tasks")
            connection.execute("CREATE TABLE agent_tasks.tasks (id int)")
            with pytest.raises(psycopg.errors.RaiseException, match="not of agent-tasks: rename it"):
                connection.execute(script())  # type: ignore[arg-type]
        in_force(settings.model_copy(update={"database_url": url}), monkeypatch)
        assert "schema agent_tasks that is not of agent-tasks: it holds tasks. Rename it" in said_by("migrate")
        assert "is not of agent-tasks: it holds tasks: rename it" in said_by("doctor")
        with psycopg.connect(url) as connection:
            tables = "SELECT relname FROM pg_class WHERE relnamespace = 'agent_tasks'::regnamespace"
            assert connection.execute(tables).fetchall() == [("tasks",)]


def test_a_schema_that_was_made_for_the_role_before_is_taken(server_urls: tuple[str, str]) -> None:
    with fresh_database(server_urls[0]) as url, role(url, "CREATE SCHEMA agent_tasks AUTHORIZATION {role}") as name:
        assert upgrade(acting_as(name, url)) == head()


def test_time_outs_of_postgres_that_are_too_short_are_named_with_the_statement_that_raises_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        name = connection.info.dbname
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(f"ALTER DATABASE {name} SET {limit} = '1500ms'")  # type: ignore[arg-type]
    in_force(settings, monkeypatch)
    doctor = said_by("doctor")
    for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
        assert f"{limit} is 1500 ms for the user" in doctor
        assert f"SET {limit} = '30s'" in doctor


def test_a_migration_takes_longer_than_the_time_outs_of_its_role(server_urls: tuple[str, str]) -> None:
    with fresh_database(server_urls[0]) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f"ALTER DATABASE {name} SET statement_timeout = '200ms'")  # type: ignore[arg-type]
            body = "BEGIN PERFORM pg_sleep(0.3); END"
            connection.execute(f"CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS '{body}'")
            only = "CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION slow()"
            connection.execute(only)
        assert upgrade(url) == head()


def test_the_command_line_says_what_to_raise_when_a_statement_takes_too_long(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("LOCK TABLE agent_tasks.tasks IN ACCESS EXCLUSIVE MODE")
        with psycopg.connect(settings.database_url, autocommit=True) as other:
            name = other.info.dbname
            other.execute(f"ALTER DATABASE {name} SET statement_timeout = '200ms'")  # type: ignore[arg-type]
        in_force(settings, monkeypatch)
        assert "Raise statement_timeout for the user of the database" in said_by("ps")
