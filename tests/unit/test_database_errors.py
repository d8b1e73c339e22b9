"""What errors of Postgres are taken for: its absence, rivals, or the statement's own."""

import ast
import re

import psycopg
import pytest
from psycopg_pool import PoolClosed, PoolTimeout

from agent_tasks.store.errors import Contention, ServerAway, Transient, classified
from tests.documents import ROOT


def of_state(state: str) -> psycopg.Error:
    """An error as psycopg raises it for this code, which may be newer than psycopg: 25P04 is of PostgreSQL 17."""
    return psycopg.errors._class_for_state(state)("said so")


@pytest.mark.parametrize(
    "state",
    [
        "08000",
        "08003",
        "08006",
        "08P01",
        "57P01",
        "57P02",
        "57P03",
        "57P04",
        "57P05",
        "25006",
        "25P03",
        "53100",
        "53300",
    ],
)
def test_a_server_that_is_going_starting_or_no_primary_is_away(state: str) -> None:
    assert type(classified(of_state(state))) is ServerAway


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("connection refused"),
        psycopg.InterfaceError("the connection is closed"),
        psycopg.errors.ConnectionTimeout("connection timeout expired"),
        PoolTimeout("no connection in time"),
        PoolClosed("closed"),
    ],
)
def test_no_answer_at_all_is_a_server_that_is_away(error: psycopg.Error) -> None:
    assert type(classified(error)) is ServerAway


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
def test_rivals_are_contention(state: str) -> None:
    assert type(classified(of_state(state))) is Contention


@pytest.mark.parametrize(
    "state",
    ["57014", "25P04", "54000", "54001", "53200", "53400", "22P02", "22P05", "23505", "42P01", "42501", "XX000"],
)
def test_any_other_error_is_the_statements_and_stays_what_it_is(state: str) -> None:
    error = of_state(state)
    assert classified(error) is error


def test_a_value_that_cannot_be_sent_is_an_error_of_the_statement() -> None:
    error = psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    assert classified(error) is error


def test_the_code_is_kept_and_what_is_classified_stays_so() -> None:
    found = classified(of_state("40P01"))
    assert found.sqlstate == "40P01"
    assert classified(found) is found
    assert isinstance(found, Transient)
    assert isinstance(found, psycopg.OperationalError)


NAMED_BY_OTHERS = {
    "cli/checks.py": {
        "psycopg.OperationalError",
        "psycopg.errors.InsufficientPrivilege",
        "psycopg.errors.UndefinedTable",
    },
    "cli/problems.py": {
        "psycopg.errors.InsufficientPrivilege",
        "psycopg.errors.QueryCanceled",
        "psycopg.errors.UndefinedColumn",
        "psycopg.errors.UndefinedTable",
    },
    "cli/readiness.py": {"psycopg.OperationalError"},
    "engine/process/heartbeat.py": {"psycopg.errors.QueryCanceled"},
    "store/migrations/__init__.py": {"psycopg.errors.InsufficientPrivilege"},
    "store/route.py": {"psycopg.ProgrammingError"},
    "sweeps/sweeper.py": {"psycopg.errors.InsufficientPrivilege", "psycopg.errors.QueryCanceled"},
    "embedded/session.py": {"psycopg.OperationalError"},
}
"""Of one statement of their own, or of a first connection: whether to try again does not hang on them."""


def test_errors_of_postgres_are_classified_in_one_file() -> None:
    found: dict[str, set[str]] = {}
    package = ROOT / "agent_tasks"
    for file in package.rglob("*.py"):
        nodes = [
            node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute | ast.alias)
        ]  # code, not prose
        names = {ast.unparse(node) for node in nodes}
        kinds = {n for n in names if re.fullmatch(r"psycopg\.(errors\.\w+|\w+Error)|.*\b(sqlstate|pgcode)", n)}
        if file != package / "store" / "errors.py" and kinds:
            found[str(file.relative_to(package))] = kinds
    assert found == NAMED_BY_OTHERS
