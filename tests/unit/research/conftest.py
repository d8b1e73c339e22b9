"""The agents read and write below the test's own folder."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENT_TASKS_BUNDLED_ROOT", str(tmp_path))
    return tmp_path
