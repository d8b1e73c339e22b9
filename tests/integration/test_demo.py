"""The main job, from nothing to the report, with a worker killed on the way."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from agent_tasks.cli.demo.target import target
from tests.eventually import eventually

SCRIPT = str(Path(sys.executable).with_name("agent-tasks"))
ELSEWHERE = {
    "AGENT_TASKS_DATABASE_URL": "postgresql://127.0.0.1:1/x",
    "AGENT_TASKS_QUANTUM_SECONDS": "-1",
    "AGENT_TASKS_AGENTS": "no.such.module",
    "DATABASE_URL": "postgresql://127.0.0.1:1/x",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "PGPORT": "1",
}
"""What is set in somebody's shell for other programs."""
TEXT = "The harbour of Lisse {number} was closed by ice in winter. Ships waited outside of the harbour until spring. "


def documents(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        body = "\n\n".join(f"## Year {year}\n\n{TEXT.format(number=number + year)}" * 6 for year in range(40))
        (folder / f"{number:03}.md").write_text(f"# Chronicle {number}\n\n{body}\n")
    return folder


def demo(folder: Path, *arguments: str, terminal: int | None = None) -> "subprocess.Popen[str]":
    """On `terminal`, if there is one; else with nothing to read, and its output in a pipe."""
    (folder / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [SCRIPT, "demo", *arguments],
        cwd=folder,
        env={**os.environ, **ELSEWHERE, "TMPDIR": str(folder / "tmp"), "TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        stdout=subprocess.PIPE if terminal is None else terminal,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


class Terminal:
    """A pseudo-terminal: `slave` is the demo's end of it."""

    def __init__(self) -> None:
        self._master, self.slave = pty.openpty()
        self.shown = ""

    def shows(self, text: str) -> bool:
        while select.select([self._master], [], [], 0)[0]:
            try:
                self.shown += os.read(self._master, 65536).decode(errors="replace")
            except OSError:  # its other end is closed
                break
        return text in self.shown

    def type(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def close(self) -> None:
        os.close(self._master)
        os.close(self.slave)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not one of pytest's: another session that starts as root closes those to the user Postgres runs as."""
    with tempfile.TemporaryDirectory(prefix="demo-test-") as name:
        yield Path(name)


def test_the_demo_kills_a_readers_worker_goes_on_and_publishes(folder: Path) -> None:
    source = documents(folder / "docs", 60)
    run = demo(folder, str(source), "--question", "When was the harbour closed by ice?", "--yes")
    output, _ = run.communicate(timeout=100)
    assert run.returncode == 0, output
    report = (folder / "report.md").read_text()
    assert "harbour" in report
    assert report.strip() in output
    assert sorted(path.name for path in folder.iterdir()) == ["docs", "report.md", "tmp"]
    assert list((folder / "tmp").iterdir()) == []
    output = " ".join(output.split())
    assert "no terminal" not in output
    assert re.search(r"Kill (worker\d) \(pid \d+\) with SIGKILL in the middle of step \d+ of reader \d", output)
    assert re.search(r"worker\d has reader \d, at step \d+, [\d.]+ s after the kill", output)
    kept = re.search(r"(\d+) steps? and (\d+) recorded calls? done before the kill were not repeated", output)
    assert kept, output
    assert int(kept[1]) >= 1
    assert int(kept[2]) >= 8
    again = re.search(r"1 step ran twice .*: of its \d calls (\d) came from the ledger", output)
    assert again, output
    assert int(again[1]) >= 3
    once = re.search(r"(\d+) of (\d+) committed steps and (\d+) of (\d+) recorded calls were done only once", output)
    assert once, output
    assert int(once[2]) - 2 <= int(once[1]) < int(once[2])
    assert int(once[4]) - 2 <= int(once[3])
    assert "holds no worker" in output
    assert "Published, approved by" in output


@pytest.mark.slow
def test_the_demo_completes_over_one_small_document_and_asks_for_one_approval(folder: Path) -> None:
    (folder / "one.txt").write_text("The harbour was closed by ice from January until March.\n" * 3)
    run = demo(folder, "one.txt", "--question", "When was the harbour closed?", "--output", "answer.md")
    output, _ = run.communicate(timeout=100)
    assert run.returncode == 0, output
    assert "January" in (folder / "answer.md").read_text()
    assert "no terminal to ask on" in " ".join(output.split())
    assert output.count("Wait for an approval") == 1
    assert "Kill worker" in output or "No worker was killed" in output


@pytest.mark.slow
def test_a_report_that_the_person_refuses_is_not_published(
    folder: Path, terminal: Terminal, request: pytest.FixtureRequest
) -> None:
    source = documents(folder / "docs", 20)
    run = demo(folder, str(source), "--question", "When was the harbour closed?", terminal=terminal.slave)
    request.addfinalizer(run.terminate)
    eventually(lambda: terminal.shows("Publish it?") or run.poll() is not None, 90)
    terminal.type("what?")
    eventually(lambda: terminal.shown.count("Publish it?") + terminal.shows("") > 1 or run.poll() is not None)
    terminal.type("n")
    eventually(lambda: terminal.shows("A note") or run.poll() is not None)
    terminal.type("too dry")
    eventually(lambda: terminal.shows("What it started is stopped") or run.poll() is not None)
    assert run.wait(timeout=30) == 0, terminal.shown
    assert terminal.shown.count("A note") == 1
    assert re.search(r"Not published: refused by \S+", terminal.shown)
    assert "too dry" in terminal.shown.rpartition("Not published")[2]
    assert not (folder / "report.md").exists()


@pytest.mark.slow
def test_a_question_without_words_fails_and_says_why(folder: Path) -> None:
    (folder / "one.txt").write_text("The harbour was closed by ice from January until March.\n")
    run = demo(folder, "one.txt", "--question", "?!? ...")
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 1, output
    assert "no words to look for" in output.splitlines()[-1]


def test_demos_at_the_same_time_publish_under_different_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "report.md").write_text("somebody's")
    with target(None) as first, target(None) as second:
        assert [first.name, second.name] == ["report-2.md", "report-3.md"]
    with target(None) as again:
        assert again.name == "report-2.md"
    assert [path.name for path in folder.iterdir()] == ["report.md"]


@pytest.mark.slow
def test_a_demo_that_is_stopped_takes_everything_along(folder: Path) -> None:
    run = demo(folder)
    eventually(lambda: len(ours(run.pid)) == 4 or run.poll() is not None, 40)
    processes = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate(timeout=30)
    assert run.returncode == 128 + signal.SIGTERM, output
    assert psutil.wait_procs(processes, timeout=10)[1] == []
    assert list((folder / "tmp").iterdir()) == []


def ours(pid: int) -> list[psutil.Process]:
    """Those of its children that are commands of ours."""
    found: list[psutil.Process] = []
    for process in psutil.Process(pid).children():
        with suppress(psutil.Error):
            if "agent_tasks.cli" in process.cmdline():
                found.append(process)
    return found
