"""A folder for what the children of a prefork worker count, made before prometheus_client counts anything."""

import os
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def is_for_prefork(argv: Sequence[str]) -> bool:
    """Whether a command line starts a worker whose steps run in child processes."""
    return any(
        argument in ("-Pprefork", "--pool=prefork") or (argument in ("-P", "--pool") and value == "prefork")
        for argument, value in pairwise([*argv, ""])
    )


if is_for_prefork(sys.argv) and os.environ.get("AGENT_TASKS_METRICS_PORT") and FOLDER not in os.environ:
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="agent-tasks-metrics-")
    values: Any = sys.modules.get("prometheus_client.values")
    if values is not None:  # by Flower, as a command of Celery's
        values.ValueClass = values.get_value_class()  # what is counted from now on: as it would have chosen itself
