"""The command line: `agent-tasks`."""

import sys

_EXTRA = ("rich", "typer")


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    try:
        from agent_tasks.cli.application import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print("The command line is not installed: pip install 'agent-tasks[cli]'.", file=sys.stderr)
        sys.exit(2)  # as for wrong usage
    app(prog_name="agent-tasks")
