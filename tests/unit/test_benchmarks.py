"""What `make bench` says where a benchmark gives up."""

import pytest

pytest.importorskip("psutil")

from benchmarks.deployment import until
from benchmarks.running import run_each
from benchmarks.tables import Table


def slow(quick: bool) -> list[Table]:
    until(lambda: False, "the moon is full", seconds=0)
    return []


def test_a_benchmark_that_waits_in_vain_is_told_in_one_line_and_the_others_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    table = Table("Fast")
    assert run_each({"slow": slow, "fast": lambda quick: [table]}, True) == ([table], ["slow"])
    printed = capfd.readouterr()
    assert "slow gave up: waited 0 s in vain until the moon is full" in printed.out
    assert "Fast" in printed.out
    assert "Traceback" not in printed.out + printed.err


def test_any_other_error_of_a_benchmark_ends_it_with_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_each({"wrong": lambda quick: [Table(str(1 / 0))]}, True)
