"""mypy and pyright, both strict, on what users read first: the examples and the README's code.

`python -m tests.typed` checks them, as `make lint` does.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.documents import ROOT, blocks

BIN = Path(sys.executable).parent


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="typed-") as folder:
        files = [*sorted((ROOT / "examples").glob("*.py"))]
        for number, code in enumerate(blocks("README.md", "python")):
            files.append(Path(folder) / f"readme_{number}.py")
            files[-1].write_text(code, encoding="utf-8")
        with ThreadPoolExecutor() as side_by_side:
            found = dict[tuple[str, int], str]()
            for each in side_by_side.map(lambda check: check(files), (mypy, pyright)):
                found |= each
        for (file, line), problem in sorted(found.items()):
            print(f"{file}:{line}: {problem}")
        print(f"{len(files)} files checked by mypy and pyright, {len(found)} problems")
        return 1 if found else 0


def mypy(files: Sequence[Path]) -> dict[tuple[str, int], str]:
    """What mypy says of each line."""
    ran = _run(
        "mypy",
        "--strict",
        "--no-error-summary",
        "--no-color-output",
        f"--cache-dir={ROOT / '.mypy_cache'}",
        *map(str, files),
    )
    found: dict[tuple[str, int], str] = {}
    for line in ran.splitlines():
        if match := re.match(r"(.*?):(\d+): error: (.*)", line):
            found[match[1], int(match[2])] = match[3]
        elif ": note: " not in line:
            found[line, 0] = "mypy"
    return found


def pyright(files: Sequence[Path]) -> dict[tuple[str, int], str]:
    """What pyright says of each line."""
    with tempfile.TemporaryDirectory(prefix="typed-") as folder:
        # LangGraph has its types in its code, as the parts of a package that several distributions share.
        settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "reportMissingTypeStubs": False}
        (Path(folder) / "pyrightconfig.json").write_text(json.dumps(settings))
        options = ["--outputjson", "--pythonpath", sys.executable, "--project", folder]
        report = json.loads(_run("pyright", *options, *map(str, files)))
    assert report["summary"]["filesAnalyzed"] == len(files), report
    return {
        (found["file"], found["range"]["start"]["line"] + 1): found["message"]
        for found in report["generalDiagnostics"]
        if found["severity"] == "error"
    }


def _run(tool: str, *arguments: str) -> str:
    return subprocess.run([str(BIN / tool), *arguments], cwd=BIN, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
