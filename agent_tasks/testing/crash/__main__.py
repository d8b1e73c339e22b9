"""`python -m agent_tasks.testing.crash PLAN`: lives one life of a task, in an interpreter of its own."""

import importlib
import sys
from pathlib import Path

from agent_tasks.testing.crash.journal import Journal
from agent_tasks.testing.crash.life import live
from agent_tasks.testing.crash.plan import Plan

if __name__ == "__main__":
    plan = Plan.read(Path(sys.argv[1]))
    for module in plan.modules:
        importlib.import_module(module)
    live(plan, Journal(Path(plan.journal)))
