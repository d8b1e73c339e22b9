"""The command line: `agent-tasks`."""

import sys
from collections.abc import Sequence

_EXTRA = ("rich", "typer")


def main(arguments: Sequence[str] | None = None, name: str = "agent-tasks") -> None:
    """Run the command that the arguments name, and end the process with its exit code.

    `arguments`: by default those that the process was started with. `name`: what it was started as.
    """
    try:
        from agent_tasks.cli.application import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print("The command line is not installed: pip install 'agent-tasks[cli]'.", file=sys.stderr)
        sys.exit(2)  # as for wrong usage
    app(args=arguments, prog_name=name)
