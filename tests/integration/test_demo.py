"""The main job, from nothing to the report, with a worker killed on the way."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

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


def demo(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    (folder / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [SCRIPT, "demo", *arguments],
        cwd=folder,
        env={**os.environ, **ELSEWHERE, "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")


def test_the_demo_kills_a_worker_and_completes_from_the_checkpoint(folder: Path) -> None:
    source = documents(folder / "docs", 60)
    run = demo(folder, str(source), "--question", "When was the harbour closed by ice?")
    output, _ = run.communicate(timeout=100)
    assert run.returncode == 0, output
    report = (folder / "report.md").read_text()
    assert "harbour" in report
    assert report.strip() in output
    assert list((folder / "tmp").iterdir()) == []
    output = " ".join(output.split())
    assert re.search(r"Kill worker\d \(pid \d+\) with SIGKILL in the middle of step (\d+)", output)
    kept = re.search(r"(\d+) steps and (\d+) recorded calls done before the kill were not repeated", output)
    assert kept, output
    assert int(kept[1]) >= 2
    assert int(kept[2]) >= 9
    again = re.search(r"1 step ran twice .*: of its 8 calls (\d) came from the ledger, (\d) were made", output)
    assert again, output
    assert int(again[1]) >= 1


def test_the_demo_completes_over_one_small_document_too(folder: Path) -> None:
    (folder / "one.txt").write_text("The harbour was closed by ice from January until March.\n" * 3)
    run = demo(folder, "one.txt", "--question", "When was the harbour closed?", "--output", "answer.md")
    output, _ = run.communicate(timeout=100)
    assert run.returncode == 0, output
    assert "January" in (folder / "answer.md").read_text()
    assert "Kill worker" in output or "No worker was killed" in output


def test_a_demo_that_is_stopped_takes_everything_along(folder: Path) -> None:
    run = demo(folder)
    eventually(lambda: len(ours(run.pid)) == 4 or run.poll() is not None, 40)
    family = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate(timeout=30)
    assert run.returncode == 128 + signal.SIGTERM, output
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert list((folder / "tmp").iterdir()) == []


def ours(pid: int) -> list[psutil.Process]:
    """Those of its children that are commands of ours."""
    found: list[psutil.Process] = []
    for process in psutil.Process(pid).children():
        with suppress(psutil.Error):
            if "agent_tasks.cli" in process.cmdline():
                found.append(process)
    return found
