"""The command line as a module, `python -m agent_tasks.cli`, for when its script is not on the path."""

from agent_tasks.cli import main

main()
