"""The command line where its script is not on the path: `python -m agent_tasks.cli`."""

from agent_tasks.cli import main

main()
