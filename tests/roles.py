"""Users of a test's database who may do less than its owner."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg

_PASSWORD = "secret"


@contextmanager
def role(url: str, *statements: str) -> Iterator[str]:
    """A role that may log in and no more, after these statements, in which `{role}` stands for it."""
    name = f"web_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{_PASSWORD}'")  # type: ignore[arg-type]
        for statement in statements:
            connection.execute(statement.replace("{role}", name))  # type: ignore[arg-type]
        try:
            yield name
        finally:
            connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")  # type: ignore[arg-type]
            connection.execute(f"DROP OWNED BY {name}")  # type: ignore[arg-type]
            connection.execute(f"DROP ROLE {name}")  # type: ignore[arg-type]


def acting_as(name: str, url: str) -> str:
    """`url` for another user."""
    return re.sub(r"//([^@/]*@)?", f"//{name}:{_PASSWORD}@", url, count=1)
