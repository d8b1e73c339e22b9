"""Submits walks, and prints their ids when they are in Postgres."""

import sys

from agent_tasks import submit_many

from . import agents  # noqa: F401  its app is the one by which bells are rung

tasks = submit_many("brokers_walk", [{"number": number} for number in range(int(sys.argv[1]))])
print(*[task.id for task in tasks], sep="\n")
