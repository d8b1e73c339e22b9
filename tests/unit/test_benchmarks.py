"""What `make bench` says where a benchmark gives up."""

import pytest

pytest.importorskip("psutil")

from benchmarks.deployment import until
from benchmarks.running import run_each
from benchmarks.tables import Table, with_tables


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


def test_a_table_that_is_measured_again_takes_the_place_of_the_one_before() -> None:
    made = (
        "\n\n".join(["# Results\n\nMade.", Table("A", ["x"], [["1"]]).markdown(), Table("B", ["y"]).markdown()]) + "\n"
    )
    again = with_tables(made, [Table("A", ["x"], [["2"]]), Table("C", ["z"])], "2026-11-28")
    assert again.startswith("# Results\n\nMade.\n\n## A\n\n| x |\n| --- |\n| 2 |\n\nMeasured on 2026-11-28.\n\n## B")
    assert again.count("## ") == 3
    assert again.endswith("## C\n\n| z |\n| --- |\n\nMeasured on 2026-11-28.\n")
    assert with_tables(again, [], "2026-11-29") == again


def test_any_other_error_of_a_benchmark_ends_it_with_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_each({"wrong": lambda quick: [Table(str(1 / 0))]}, True)
