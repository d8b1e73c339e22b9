"""Moments: those that are declared are those that the code reaches, and a test can name no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent_tasks
from agent_tasks import moments
from tests.crash.kill_points import check


def reached(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reached":
                yield ast.literal_eval(node.args[0])


def test_the_declared_moments_are_those_that_the_code_reaches() -> None:
    assert set(reached(Path(agent_tasks.__file__).parent)) == set(moments.MOMENTS)


@pytest.mark.parametrize(
    "point",
    [
        "spawn:commited",
        "spawn",
        "committed",
        ":committed",
        "statement:x",
        "spawn:claim",
        "spawn:claimed#x",
        "spawn:claimed#0",
    ],
)
def test_a_point_that_no_process_comes_to_is_refused(point: str) -> None:
    with pytest.raises(ValueError, match=r"claimed, returned, .*published"):
        check(point)


@pytest.mark.parametrize(
    "point", ["spawn:committed", "undo:book_two:returned", "last:half-published", "statement:12", "spawn:claimed#2"]
)
def test_a_point_is_a_step_with_a_moment_or_a_statement(point: str) -> None:
    check(point)


def test_nobody_watches_moments_outside_of_tests_that_kill() -> None:
    assert moments._watcher is None
    moments.reached("committed")
