"""`manage.py agent_tasks …`: our command line, with the settings of the project."""

import os
import sys
from argparse import REMAINDER, ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agent_tasks.cli import main
from agent_tasks.contrib.django.configuration import given_settings
from agent_tasks.errors import InvalidInput

_OF_DJANGO = ("--settings", "--pythonpath")
"""Options that manage.py has read already."""
_ELSEWHERE = ("dev", "demo")
"""Commands that start servers of their own, on which nothing of the project's is."""


class Command(BaseCommand):
    """Run a command of `agent-tasks` in the project."""

    help = "Run a command of agent-tasks with the settings of this project: migrate, worker, doctor, …"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("arguments", nargs=REMAINDER, metavar="command", help="As after `agent-tasks`.")

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand all on as it is: options are those of the command line's, and so are their errors."""
        try:
            self._run(_without_those_of_django(argv[2:]), f"{os.path.basename(argv[0])} {argv[1]}")
        except CommandError as error:
            self.stderr.write(str(error))
            sys.exit(error.returncode)

    def handle(self, *_: Any, arguments: Sequence[str], **__: Any) -> None:
        """Run it for `call_command`. Raises CommandError where it does not end well."""
        try:
            self._run(list(arguments), "manage.py agent_tasks")
        except SystemExit as error:
            if isinstance(error.code, int) and error.code:
                raise CommandError(
                    f"agent_tasks {' '.join(arguments)} ended with the exit code {error.code}", returncode=error.code
                ) from None

    def _run(self, arguments: list[str], name: str) -> None:
        if arguments and arguments[0] in _ELSEWHERE:
            raise CommandError(
                f"{arguments[0]} starts a Postgres of its own, which has none of this project's tables. Here: "
                f"{name} migrate, and then {name} worker, sweeper and beat, each in a terminal.",
                returncode=2,
            )
        try:
            variables = _variables(given_settings())
        except InvalidInput as error:
            raise CommandError(error.message, returncode=2) from None
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)  # for the processes, too, that this one starts
        try:
            main(arguments, name)
        finally:
            for variable, value in before.items():
                if value is None:
                    del os.environ[variable]
                else:
                    os.environ[variable] = value


def _without_those_of_django(arguments: list[str]) -> list[str]:
    kept: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument in _OF_DJANGO:
            next(left, None)
        elif not argument.startswith(tuple(f"{option}=" for option in _OF_DJANGO)):
            kept.append(argument)
    return kept


def _variables(given: dict[str, Any]) -> dict[str, str]:
    """Return the settings as they stand in an environment."""
    return {
        f"AGENT_TASKS_{name.upper()}": ",".join(map(str, value))
        if isinstance(value, list | tuple | set)
        else str(value)
        for name, value in given.items()
    }
