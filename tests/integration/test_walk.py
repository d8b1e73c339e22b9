"""A newcomer's first ten minutes: every command of the page is run, and prints what the page says."""

import difflib

import pytest

from tests.documents import ROOT
from tests.walk import Step, normal, rendered, walk

PAGE = ROOT / "docs" / "first-ten-minutes.md"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_first_ten_minutes_are_as_they_are_written() -> None:
    steps = walk(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 12
    differences = [difference(step) for step in steps if not step.is_as_written]
    assert not differences, "\n".join(["`python -m tests.walk docs/first-ten-minutes.md` writes it:", *differences])
    for step in steps:
        assert "--traceback" in step.command or "Traceback" not in step.printed


def difference(step: Step) -> str:
    found = difflib.unified_diff(normal(step.written), normal(step.printed), "written", "printed", lineterm="")
    return "\n".join([f"$ {step.command}", *found])


def test_what_is_written_over_on_a_terminal_is_gone() -> None:
    assert rendered("a\r\n\x1b[1mb\x1b[0m\r\x1b[2K\x1b[1Ac\r\n") == "c\n"
    assert rendered("12345\r--\r\n") == "--345\n"
