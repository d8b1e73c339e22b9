"""A document whose console blocks are run: command by command, on a terminal of 80 columns, and compared with it.

`python -m tests.walk docs/first-ten-minutes.md` runs it and writes what was printed into it.
"""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
COLUMNS, SECONDS = 80, 60.0
HOME, HOST = "/home/ana", "laptop"
"""Stand in the document for the machine that it was made on."""
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`(\w+\.py)`[^`]*?:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}(?:-[0-9a-f]{4}-[0-9a-f]{12})?")
_READY = re.compile(r"(\nReady\..*?--wait\r?\n  curl [^\n]*\n).*", re.DOTALL)
_ROOT_ONLY = re.compile(r"^warning: PostgreSQL runs as nobody.*?\(chmod o\+x\)\n", re.MULTILINE | re.DOTALL)
"""Where the walk is made by root."""
_ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


@dataclass(frozen=True)
class Step:
    """A command of the document, what it says was printed, and what was."""

    command: str
    written: str
    printed: str

    @property
    def is_as_written(self) -> bool:
        return normal(self.printed) == normal(self.written)


def walk(document: str) -> list[Step]:
    """Run every command of a document in order; `agent-tasks dev` goes on until the next one, or to the end."""
    steps: list[Step] = []
    ids: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="at-") as folder:
        os.chmod(folder, 0o755)
        terminal = Terminal(Path(folder))
        try:
            for part in re.finditer(f"{_FILE.pattern}|{_CONSOLE.pattern}", document, re.MULTILINE | re.DOTALL):
                if part[1]:
                    (terminal.work / part[1]).write_text(part[2])
                    continue
                for command, written in _commands(part[3]):
                    printed = terminal.run(_with_ids(command, ids))
                    ids.update(zip(_ID.findall(written), _ID.findall(printed), strict=False))
                    steps.append(Step(command, written, printed))
        finally:
            terminal.close()
    return steps


class Terminal:
    """A shell's place: a home, a folder to work in, and `dev` in another window."""

    def __init__(self, folder: Path) -> None:
        self.home, self.work = folder / "home", folder / "home" / "work"
        self.work.mkdir(parents=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AGENT_TASKS_", "CELERY_", "PYTEST", "XDG_"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
        self.environment = {**kept, "HOME": str(self.home), "PATH": path, "TERM": "xterm", "COLUMNS": str(COLUMNS)}
        self._dev: _Running | None = None

    def run(self, command: str) -> str:
        """What it printed, as it stands on the terminal in the end."""
        if command.startswith("agent-tasks dev"):
            self.close()
            self._dev = _Running(command, self.work, self.environment)
            self._dev.wait_for(lambda text: bool(_READY.search(text)) or self._dev_is_over())
            return self._shown(_READY.sub(r"\1", self._dev.text))  # what comes later is not the start's
        running = _Running(command, self.work, self.environment)
        running.wait_for(lambda _: running.is_over)
        return self._shown(running.text)

    def close(self) -> None:
        if self._dev is not None:
            self._dev.stop()
            self._dev = None

    def _dev_is_over(self) -> bool:
        return self._dev is None or self._dev.is_over

    def _shown(self, text: str) -> str:
        shown = rendered(text)
        for here, there in ((str(self.home), HOME), (str(ROOT), f"{HOME}/agent-tasks"), (socket.gethostname(), HOST)):
            shown = shown.replace(here, there)
        lines = [line.rstrip() for line in _ROOT_ONLY.sub("", shown).splitlines()]
        return "\n".join(lines).strip("\n")


class _Running:
    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        self._command = command
        self._popen = subprocess.Popen(
            ["bash", "-c", command],
            cwd=folder, env=environment, stdin=writer, stdout=writer, stderr=writer, start_new_session=True,
        )  # fmt: skip
        os.close(writer)
        self._reader = reader
        self._received = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return self._received.decode(errors="replace")

    @property
    def is_over(self) -> bool:
        return self._popen.poll() is not None and not self._thread.is_alive()

    def wait_for(self, condition: "object") -> None:
        deadline = time.monotonic() + SECONDS
        while not condition(self.text):  # type: ignore[operator]
            assert time.monotonic() < deadline, f"{self._command}: {self.text}"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._popen.poll() is None:
            os.killpg(self._popen.pid, signal.SIGINT)
        try:
            self._popen.wait(30)
        finally:
            if self._popen.poll() is None:
                os.killpg(self._popen.pid, signal.SIGKILL)
        self._thread.join(5)

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._reader], [], [], 0.1)
            if not ready:
                if self._popen.poll() is not None:
                    return
                continue
            try:
                received = os.read(self._reader, 65536)
            except OSError:  # the other end is closed
                return
            if not received:
                return
            self._received += received


def rendered(text: str) -> str:
    """What stands on the terminal at the end: lines that are written over are gone, colours too."""
    lines, row, column = [""], 0, 0
    at = 0
    while at < len(text):
        if match := _ESCAPE.match(text, at):
            if match[2] == "A":
                row = max(0, row - int(match[1] or 1))
            elif match[2] == "K":
                lines[row] = "" if match[1] == "2" else lines[row][:column]
            at = match.end()
            continue
        character, at = text[at], at + 1
        if character == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif character == "\r":
            column = 0
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + character + line[column + 1 :]
            column += 1
            continue
        if character == "\n":
            column = 0
    return "\n".join(lines)


def _commands(block: str) -> list[tuple[str, str]]:
    """Each `$ command`, and the lines after it."""
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    return [(command, written.strip("\n")) for command, written in found]


def _with_ids(command: str, ids: dict[str, str]) -> str:
    """The command with the ids of this walk in the place of the document's."""

    def actual(match: "re.Match[str]") -> str:
        written = match[0]
        return next((new[: len(written)] for old, new in ids.items() if old.startswith(written)), written)

    return _ID.sub(actual, command)


def normal(text: str) -> list[str]:
    """Without what differs from run to run (ids, numbers, alignment, what processes log), and without the lists of all
    settings and agents."""
    text = re.sub(r"^(?:worker|sweeper|beat|gateway|flower) +\|.*\n", "", f"{text}\n", flags=re.MULTILINE)
    text = re.sub(r"\d[\d.,:]*", "N", _ID.sub("ID", text))
    text = re.sub(r"\b(?:ms|s|min|h)\b", "TIME", text)
    lists = r"^(?:defaults|ok +agent|ok +worker|  agents).*\n(?: {10,}.*\n)*"
    text = re.sub(lists, "", text, flags=re.MULTILINE)
    return [re.sub(r" +", " ", line).strip() for line in text.splitlines()]


def rewritten(document: str, steps: list[Step]) -> str:
    left, ids = iter(steps), dict[str, str]()
    for step in steps:
        ids.update(zip(_ID.findall(step.written), _ID.findall(step.printed), strict=False))

    def block(match: "re.Match[str]") -> str:
        parts: list[str] = []
        for command, _ in _commands(match[1]):
            step = next(left)
            parts.append(f"$ {_with_ids(command, ids)}\n{step.printed}".rstrip())
        return "```console\n" + "\n".join(parts) + "\n```"

    return _CONSOLE.sub(block, document)


def main() -> None:
    path = Path(sys.argv[1])
    document = path.read_text(encoding="utf-8")
    path.write_text(rewritten(document, walk(document)), encoding="utf-8")


if __name__ == "__main__":
    main()
