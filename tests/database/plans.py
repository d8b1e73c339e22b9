"""The statements that the system executes, and how Postgres finds their rows."""

import ast
import inspect
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import tuple_row

from tests.documents import ROOT

LARGE = frozenset(
    {
        "tasks", "checkpoints", "calls", "events", "signals", "charges", "hooks", "idempotency_keys", "audit", "outbox",
        "deliveries", "labels",
    }
)  # fmt: skip
"""Tables that grow with what is done; the others have a row a worker, an agent, a schedule or an endpoint."""
PACKAGES = ("agent_tasks", "beat", "workers")
COMPILED_ABOVE = 500_000
"""The cost from which the JIT optimizes at length (`jit_optimize_above_cost`): longer than the statement takes."""
OF_TESTS = str(ROOT / "tests" / "database" / "__init__.py")
"""Its `query` is not of the system."""
Site = str
"""A file and a function in it."""


@dataclass
class Statements:
    """What was executed, from where, and what is wrong with it."""

    sites: set[Site] = field(default_factory=set)
    faults: dict[str, list[str]] = field(default_factory=dict)
    """By statement."""
    pages: int = 0
    """Read by all of them together."""

    def note(self, statement: str, faults: list[str]) -> None:
        if faults:
            self.faults.setdefault(" ".join(statement.split()), []).extend(faults)

    @property
    def story(self) -> str:
        """Each with what is wrong with it, for a person."""
        return "\n\n".join(f"{sql}\n  " + "\n  ".join(sorted(set(found))) for sql, found in self.faults.items())


def sites() -> set[Site]:
    """Every function of the packages that executes a statement on our tables in a deployment: not of the test kit.

    Nor of `integrations`, which are libraries' own tables, and of `contrib`, which has ours on a project's connection.
    """
    found: set[Site] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if not {"contrib", "integrations", "migrations", "testing"} & set(path.parts):
                text = path.read_text(encoding="utf-8")
                tree = ast.parse(text if "execute" in text or ".copy(" in text else "")
                functions = [
                    node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                ]
                found |= {_named(path, each.name) for each in functions if _executes(each)}
    return found


def _executes(function: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "executemany", "copy")
        and ast.unparse(node.func.value) != "super()"  # the cursor itself, which hands statements on
        and bool(node.args)  # a pipeline of Redis is executed without
        for node in ast.walk(function)
    )


@contextmanager
def watched(*, buffers: int | None) -> Iterator[Statements]:
    """Looks at each statement before it is executed: by the plan made for its values, by the one that would be kept
    for all values, and, executed and rolled back, by the pages that it reads: no more than `buffers`."""
    seen = Statements()
    execute = psycopg.Connection.execute
    looking: set[int] = set()  # threads: the pool opens connections in its own
    leading: dict[str, str] = {}

    def looked_at(self: psycopg.Connection[Any], query: Any, params: Any = None, **options: Any) -> Any:
        thread, caller = threading.get_ident(), inspect.getfile(sys._getframe(1))
        if thread in looking or caller == OF_TESTS or not _is_data(query):
            return execute(self, query, params, **options)
        looking.add(thread)
        try:
            seen.sites.add(_site())
            leading.update(leading or _leading(self))
            pages, faults = _looked_at(self, query, params, leading, kept=options.get("prepare") is not False)
            seen.pages += pages
            seen.note(query, faults if buffers is None or pages <= buffers else [*faults, f"{pages} pages read"])
        finally:
            looking.remove(thread)
        return execute(self, query, params, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", looked_at)
        yield seen


def _is_data(query: Any) -> bool:
    return isinstance(query, str) and query.lstrip().upper().startswith(
        ("WITH", "SELECT", "UPDATE", "INSERT", "DELETE")
    )


def _site() -> Site:
    """The nearest function of the packages that is on the stack."""
    frame = sys._getframe(1)
    while frame is not None:
        path = Path(inspect.getfile(frame))
        if any(path.is_relative_to(ROOT / package) for package in PACKAGES):
            return _named(path, frame.f_code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def _named(path: Path, function: str) -> Site:
    return f"{path.relative_to(ROOT)}: {function}"


def _looked_at(
    connection: psycopg.Connection[Any], query: str, params: Any, leading: dict[str, str], *, kept: bool
) -> tuple[int, list[str]]:
    """How many pages a statement reads, and what is wrong with its plans."""
    text = psycopg.ClientCursor(connection).mogrify(query, params) if params is not None else query
    try:
        with connection.transaction(force_rollback=True):
            plan = _explained(connection, f"EXPLAIN (FORMAT JSON, ANALYZE, BUFFERS, TIMING OFF) {text}")
    except psycopg.Error:
        return 0, []  # it fails, and will say so
    faults = [f"for these values: {fault}" for fault in scans(plan, leading)]
    if kept:
        faults += [f"for all values: {fault}" for fault in scans(_kept_plan(connection, query, params), leading)]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], faults


def _kept_plan(connection: psycopg.Connection[Any], query: str, params: Any) -> dict[str, Any]:
    """The plan that would be kept for a prepared statement."""
    cursor = connection.cursor(row_factory=tuple_row)
    with connection.transaction(force_rollback=True):
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        sent = psycopg._queries.PostgresQuery(psycopg.adapt.Transformer(connection))  # type: ignore[attr-defined]
        sent.convert(query, params)
        connection.pgconn.prepare(b"looked_at", sent.query, sent.types)
        values = ", ".join(["NULL"] * len(sent.types or ()))
        cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE looked_at{f'({values})' if values else ''}", prepare=False)
        (found,) = cursor.fetchall()[0]
        cursor.execute("DEALLOCATE looked_at")
    return found[0]["Plan"]


def _explained(connection: psycopg.Connection[Any], statement: str) -> dict[str, Any]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        (found,) = cursor.execute(statement.encode(), prepare=False).fetchall()[0]  # type: ignore[arg-type]
    return found[0]["Plan"]


def _leading(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The first column of each index."""
    sql = (
        "SELECT relname, pg_get_indexdef(indexrelid, 1, true) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    )
    with connection.cursor(row_factory=tuple_row) as cursor:
        return dict(cursor.execute(sql, prepare=False).fetchall())


def _bare(expression: str) -> str:
    """Without parentheses, of which a plan has more than the definition of an index."""
    return re.sub(r"[()\s]", "", expression)


def scans(node: dict[str, Any], leading: dict[str, str], table: str | None = None) -> Iterator[str]:
    """The scans of a plan that read a whole large table, or a whole index, whatever comes of it."""
    kind, table = node["Node Type"], node.get("Relation Name", table)
    if table in LARGE:
        if kind == "Seq Scan":
            yield f"reads all of {table}, where {node.get('Filter')}"
        by_index = kind in ("Index Scan", "Index Only Scan", "Bitmap Index Scan")
        if by_index and _bare(leading[node["Index Name"]]) not in _bare(node.get("Index Cond", "")):
            yield f"reads all of {node['Index Name']}, where {node.get('Filter')}"
    if not node.get("Parent Relationship") and node["Total Cost"] > COMPILED_ABOVE:
        yield f"is thought to cost {node['Total Cost']:.0f}, and would be compiled"
    for below in node.get("Plans", []):
        yield from scans(below, leading, table)
