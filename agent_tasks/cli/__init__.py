"""The command line: `agent-tasks`."""


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    from agent_tasks.cli.application import app

    app(prog_name="agent-tasks")
