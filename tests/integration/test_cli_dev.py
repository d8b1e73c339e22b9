"""`agent-tasks dev` starts everything, is found by others, stops together and cleans up after a killed one."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent_tasks.cli import dev as command
from agent_tasks.embedded import Process
from tests.eventually import eventually

SCRIPT = str(Path(sys.executable).with_name("agent-tasks"))


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="at-dev-") as folder:
        yield Path(folder)


class Dev:
    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log = folder / "dev.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [SCRIPT, "dev", *arguments],
                cwd=folder,
                env=environment(folder),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(lambda: "\nReady." in self.output, 45)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.popen.pid).children(recursive=True)

    def end(self, number: int) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(30)


def environment(folder: Path) -> dict[str, str]:
    """Of a new shell, with another folder for the data."""
    ours = ("AGENT_TASKS_", "CELERY_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours) and k not in ("DATABASE_URL", "REDIS_URL")}
    return {**kept, "AGENT_TASKS_DATA_DIR": str(folder)}


def agent_tasks(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60
    )


def all_gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=0.1)[1]


def test_dev_serves_other_terminals_and_leaves_nothing_whether_stopped_or_killed(folder: Path) -> None:
    (folder / "theirs.py").write_text(
        "from agent_tasks import agent\n@agent('theirs')\nasync def theirs(ctx):\n    return 'done'\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        port, gateway = first.getsockname()[1], second.getsockname()[1]
    dev = Dev(folder, "--agents", "theirs", "--flower-port", str(port), "--gateway-port", str(gateway))
    try:
        assert (folder / "dev.json").stat().st_mode & 0o777 == 0o600
        assert json.loads((folder / "dev.json").read_text())["pid"] == dev.popen.pid
        assert "agent-tasks submit theirs --wait" in dev.output
        assert "worker@" in agent_tasks(folder, "doctor").stdout  # ready is who has registered
        submitted = agent_tasks(folder, "submit", "theirs", "--wait", "--timeout", "20")
        assert submitted.stdout.splitlines()[1:] == ["done"], submitted.stderr
        assert f"  console   http://127.0.0.1:{gateway}/console\n" in dev.output
        assert f"  gateway   http://127.0.0.1:{gateway}\n" in dev.output
        assert "deliverer running" in dev.output
        assert "a deliverer last looked" in agent_tasks(folder, "doctor", "--deliverer").stdout
        accepted = json.loads(shell(over_http(dev)))  # the line that it prints is one that works, without a token
        assert (accepted["agent"], accepted["identity"]) == ("theirs", None)
        eventually(lambda: is_up(port))
        second = agent_tasks(folder, "dev")
        assert second.returncode == 2
        assert f"in use by process {dev.popen.pid}" in second.stderr
        assert second.stderr.count("\n") == 1
        processes = dev.processes()
        assert len(processes) >= 6
        dev.end(signal.SIGKILL)
        without = agent_tasks(folder, "ps")
        assert (without.returncode, "agent-tasks dev" in without.stderr) == (2, True)
        dev.log.unlink()
        dev = Dev(folder, "--agents", "theirs")
        eventually(lambda: all_gone(processes))
        again = agent_tasks(folder, "ps", "--status", "completed", "--json")
        assert submitted.stdout.split()[0] in [task["id"] for task in json.loads(again.stdout)]
        processes = dev.processes()
        assert dev.end(signal.SIGTERM) == 0
        eventually(lambda: all_gone(processes))
        assert not (folder / "dev.json").exists()
    except BaseException:
        print(dev.output[-6000:])
        raise
    finally:
        dev.popen.kill()
        dev.popen.wait()


def over_http(dev: Dev) -> str:
    """The curl line that dev has printed."""
    (line,) = [line.strip() for line in dev.output.splitlines() if line.startswith("  curl ")]
    return line


def shell(command: str) -> str:
    return subprocess.run(["sh", "-c", f"{command} --silent"], capture_output=True, text=True, timeout=30).stdout


def test_dev_asks_for_tokens_where_the_environment_says_so_and_goes_on_without_the_extra() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AGENT_TASKS_GATEWAY_AUTH", raising=False)
        assert gateway_of(command._processes({}, 1, None, 8000)).env == {"AGENT_TASKS_GATEWAY_AUTH": "off"}
        patch.setenv("AGENT_TASKS_GATEWAY_AUTH", "on")
        assert gateway_of(command._processes({}, 1, None, 8000)).env == {"AGENT_TASKS_GATEWAY_AUTH": "on"}
        assert "Authorization: Bearer $KEY" in command._over_http(8000, {"name": "theirs", "input": None})
    assert [each.name for each in command._processes({}, 1, None, None)] == ["worker", "sweeper", "beat"]
    assert command._at(None, "http") == "not installed: pip install 'agent-tasks[http]'"


def test_dev_has_links_begin_with_its_gateway_unless_the_environment_says_otherwise() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AGENT_TASKS_PUBLIC_URL", raising=False)
        assert command._public(8123) == {"AGENT_TASKS_PUBLIC_URL": "http://127.0.0.1:8123"}
        assert command._public(None) == {}
        patch.setenv("AGENT_TASKS_PUBLIC_URL", "https://tasks.example")
        assert command._public(8123) == {}


def gateway_of(processes: list[Process]) -> Process:
    (gateway,) = [process for process in processes if process.name == "gateway"]
    return gateway


def is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


BROKEN = [
    ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all' (", "line 1)"),
    ("from agent_tasks import Agent\nAgent('a b')\n", "InvalidInput: 'a b' is no valid name", "line 2)"),
    ("def broken(:\n", "SyntaxError", "broken_agents.py, line 1)"),
]


@pytest.mark.parametrize(
    ("code", "why", "where"), [BROKEN[0], *(pytest.param(*each, marks=pytest.mark.slow) for each in BROKEN[1:])]
)
def test_a_module_that_does_not_load_is_told_once_in_one_line_and_nothing_is_left_running(
    folder: Path, code: str, why: str, where: str
) -> None:
    (folder / "broken_agents.py").write_text(code)
    ended = agent_tasks(folder, "dev", "--agents", "broken_agents")
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error")]
    assert "broken_agents does not load" in line
    assert why in line
    assert where in line
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (folder / "dev.json").exists()


@pytest.mark.slow
def test_a_module_that_is_not_there_is_told_where_to_look_for_it(folder: Path) -> None:
    ended = agent_tasks(folder, "dev", "--agents", "not_there")
    assert "PYTHONPATH" in ended.stderr
