"""A command whose failures end in one line on stderr, and in the exit code that tells them apart."""

from typing import Any

import typer
from typer.core import TyperCommand

from agent_tasks.cli.problems import ExitCode, Problem, problem_of


class Command(TyperCommand):
    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Create the context, reporting wrong usage as JSON if --json is given."""
        given: list[str] = kwargs["args"] if "args" in kwargs else args[1]
        if "--json" not in given:
            return super().make_context(*args, **kwargs)
        try:
            return super().make_context(*args, **kwargs)
        except typer.Exit:
            raise
        except Exception as error:
            message = getattr(error, "format_message", None)
            if message is None:
                raise
            Problem(ExitCode.USAGE, "invalid_input", message()).show(as_json=True)
            raise typer.Exit(ExitCode.USAGE) from None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            problem.show(as_json=bool(ctx.params.get("as_json")))
            raise typer.Exit(problem.code) from None
