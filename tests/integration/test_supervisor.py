"""The supervisor shows, restarts and stops real processes and leaves none behind."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from agent_tasks.embedded import Process, RosterBusy, Supervisor
from tests.eventually import eventually

ROOT = Path(__file__).parents[2]
READY = "import sys, signal, time; print('ready', flush=True); "
WAITS = READY + "signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS
WITH_A_CHILD = """
import subprocess, sys, signal
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
signal.pause()
"""
SUPERVISES = """
import sys
from pathlib import Path
from agent_tasks.embedded import Process, Supervisor
processes = [Process("child", [sys.executable, "-c", sys.argv[2]])]
sys.exit(Supervisor(processes, state=Path(sys.argv[1])).run())
"""


class Lines:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.seen.append((name, line))

    def of(self, name: str) -> list[str]:
        return [line for source, line in self.seen if source == name]


def python(name: str, code: str, restart: bool = True) -> Process:
    return Process(name, [sys.executable, "-c", code], restart=restart)


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start_supervisor(state: Path, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISES, str(state), code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def first_line(supervisor: subprocess.Popen[str]) -> str:
    assert supervisor.stdout
    return supervisor.stdout.readline().partition(" | ")[2].strip()


def test_each_line_is_prefixed_with_the_aligned_name_of_its_process(tmp_path: Path) -> None:
    screen = io.StringIO()
    processes = [
        python("web", "print('[bold]up'); print('x' * 200)", restart=False),
        python("worker", "import sys; sys.stderr.write('no newline')", restart=False),
    ]
    console = Console(file=screen, width=80)
    assert Supervisor(processes, state=tmp_path / "state.json", console=console).run() == 0
    lines = screen.getvalue().splitlines()
    assert "web    | [bold]up" in lines
    assert "web    | " + "x" * 200 in lines
    assert "worker | no newline" in lines


def test_the_exit_code_is_the_first_that_is_not_zero_when_all_have_ended(tmp_path: Path) -> None:
    processes = [python("good", "", restart=False), python("bad", "raise SystemExit(3)", restart=False)]
    assert Supervisor(processes, state=tmp_path / "state.json", log=tmp_path / "logs").run() == 3


def test_a_killed_process_starts_again(tmp_path: Path) -> None:
    lines = Lines()
    with Supervisor([python("a", WAITS)], state=tmp_path / "state.json", log=tmp_path, on_line=lines) as supervisor:
        eventually(lambda: "ready" in lines.of("a"))
        first = supervisor.pid("a")
        supervisor.kill("a", signal.SIGKILL)
        eventually(lambda: lines.of("a").count("ready") == 2)
        assert supervisor.pid("a") not in (None, first)
    assert "-- killed by SIGKILL; starts again in 0.5 s" in lines.of("a")


def test_what_a_killed_process_had_started_is_killed_too(tmp_path: Path) -> None:
    lines = Lines()
    processes = [python("a", WITH_A_CHILD)]
    with Supervisor(processes, state=tmp_path / "state.json", log=tmp_path, on_line=lines) as supervisor:
        grandchild = int(eventually(lambda: lines.of("a"))[0])
        supervisor.kill("a")
        eventually(lambda: not runs(grandchild))


def test_a_process_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    lines = Lines()
    processes = [python("a", "raise SystemExit(1)")]
    with Supervisor(processes, state=tmp_path / "state.json", log=tmp_path, on_line=lines):
        eventually(lambda: len(lines.of("a")) >= 2)
    assert lines.of("a")[:2] == [
        "-- exited with status 1; starts again in 0.5 s",
        "-- exited with status 1; starts again in 1 s",
    ]


def test_a_stop_ends_all_processes_even_one_that_ignores_it(tmp_path: Path) -> None:
    lines = Lines()
    processes = [python("polite", WAITS), python("stubborn", STUBBORN)]
    state = tmp_path / "state.json"
    with Supervisor(processes, state=state, log=tmp_path, on_line=lines, grace=0.3) as supervisor:
        eventually(lambda: len(lines.seen) == 2)
        pids = [supervisor.pid("polite"), supervisor.pid("stubborn")]
    assert not any(runs(pid) for pid in pids if pid)
    assert not state.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_supervisor_with_exit_code_zero(tmp_path: Path, number: int) -> None:
    with start_supervisor(tmp_path / "state.json", READY + "print(__import__('os').getpid()); time.sleep(600)") as s:
        assert first_line(s) == "ready"
        child = int(first_line(s))
        s.send_signal(number)
        assert s.wait(10) == 0
    assert not runs(child)


def test_quiet_mode_writes_a_file_for_each_process(tmp_path: Path) -> None:
    screen = io.StringIO()
    supervisor = Supervisor(
        [python("a", "print('héllo')", restart=False)],
        state=tmp_path / "state.json",
        log=tmp_path / "logs",
        console=Console(file=screen),
    )
    supervisor.run()
    assert (tmp_path / "logs" / "a.log").read_text().splitlines()[0] == "héllo"
    assert screen.getvalue() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties children to their parent")
def test_children_die_with_a_killed_supervisor_on_linux(tmp_path: Path) -> None:
    with start_supervisor(tmp_path / "state.json", "import os; print(os.getpid()); import time; time.sleep(600)") as s:
        child = int(first_line(s))
        s.kill()
    eventually(lambda: not runs(child))


def test_the_next_supervisor_kills_what_a_killed_one_left(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with start_supervisor(state, WITH_A_CHILD) as s:
        grandchild = int(first_line(s))
        s.kill()
    assert runs(grandchild), "nothing was left to clean up"
    Supervisor([python("a", "", restart=False)], state=state, log=tmp_path).run()
    assert not runs(grandchild)


def test_a_second_supervisor_with_the_same_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with (
        Supervisor([python("a", WAITS)], state=state, log=tmp_path) as first,
        pytest.raises(RosterBusy, match=f"process {os.getpid()}"),
    ):
        Supervisor([python("b", WAITS)], state=state, log=tmp_path).run()
    assert first.pid("a") is None


def test_a_program_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    lines = Lines()
    processes = [Process("a", ["no-such-program"], restart=False)]
    assert Supervisor(processes, state=tmp_path / "state.json", log=tmp_path, on_line=lines).run() == 127
    assert lines.of("a")[0] == "no-such-program: No such file or directory"
