"""The plan of one life of a task, as the process that lives it is told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What to run, where, and how far."""

    database_url: str
    journal: str
    """The path of the file of the journal."""
    agent: str
    modules: Sequence[str]
    """The modules in which it and its neighbours are declared."""
    input: Any = None
    signals: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What each signal that the task waits for is answered with."""
    answers: Mapping[str, Any] | None = None
    """What came of the calls of the first life, by their idempotency keys; None: this is the first one."""
    known: Sequence[str] = ()
    """The functions of those calls."""
    cut: int | None = None
    """The boundary at which the process ends; None: it lives to the end of the task."""
    resumes: bool = False
    """Whether the task is there, and was cut."""
    observes: bool = False
    """Whether the code of the steps is watched for what it does outside of calls."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Plan":
        return cls(**json.loads(path.read_text(encoding="utf-8")))
