"""The options that several commands share, and the values made of them."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from agent_tasks.errors import InvalidInput
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; errors are JSON on stderr.")]
TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task's id, or the beginning of it.")]

_AS = "Act as"
AsSubject = Annotated[
    str | None,
    typer.Option("--as", metavar="SUBJECT", rich_help_panel=_AS, help="Act with the rights of this person or service."),
]
AsTenant = Annotated[str, typer.Option("--tenant", metavar="NAME", rich_help_panel=_AS, help="Their tenant.")]
AsScopes = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="NAME", rich_help_panel=_AS, help="A scope of theirs; repeatable."),
]

_WHO = "On whose behalf"
Subject = Annotated[str | None, typer.Option("--subject", rich_help_panel=_WHO, help="Who the task runs for.")]
SubjectTenant = Annotated[str, typer.Option("--tenant", rich_help_panel=_WHO, help="Their tenant.")]
SubjectScopes = Annotated[
    list[str] | None, typer.Option("--scope", rich_help_panel=_WHO, help="A scope of theirs; repeatable.")
]
SessionId = Annotated[str | None, typer.Option("--session-id", help="The conversation the task belongs to.")]
CallbackUrl = Annotated[
    str | None, typer.Option("--callback-url", metavar="URL", help="Told when the task waits and when it ends.")
]
Queue = Annotated[str | None, typer.Option("--queue", help="The queue to use instead of the agent's.")]
Priority = Annotated[int, typer.Option("--priority", min=0, max=9, help="0 to 9; 9 is the most urgent.")]
Ttl = Annotated[float | None, typer.Option("--ttl", help="Seconds to wait for a worker before the task is given up.")]
Metadata = Annotated[str | None, typer.Option("--metadata", metavar="JSON", help="An object to keep with the task.")]
Agent = Annotated[str, typer.Argument(metavar="AGENT", help="The name of the agent.")]
Input = Annotated[
    str | None,
    typer.Argument(metavar="[JSON|@FILE|-]", help="The arguments of the first step. - reads stdin."),
]

_BUDGET = "Budget (default: the agent's)"
Seconds = Annotated[float | None, typer.Option("--budget-seconds", rich_help_panel=_BUDGET, help="Running time.")]
Tokens = Annotated[int | None, typer.Option("--budget-tokens", rich_help_panel=_BUDGET, help="Tokens used by models.")]
Usd = Annotated[float | None, typer.Option("--budget-usd", rich_help_panel=_BUDGET, help="Cost in US dollars.")]
Steps = Annotated[int | None, typer.Option("--budget-steps", rich_help_panel=_BUDGET, help="Committed steps.")]
Calls = Annotated[int | None, typer.Option("--budget-calls", rich_help_panel=_BUDGET, help="Recorded calls.")]

Wait = Annotated[bool, typer.Option("--wait", help="Wait until the task ends, then print its result.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop waiting then. The task goes on."),
]


def budget_of(
    seconds: float | None, tokens: int | None, usd: float | None, steps: int | None, calls: int | None
) -> Budget | None:
    """Return the budget; None if no option was given. Raises InvalidInput."""
    budget = Budget(seconds=seconds, tokens=tokens, usd=usd, steps=steps, calls=calls)
    return None if budget == Budget() else budget


def identity_of(subject: str | None, tenant: str, scopes: list[str] | None, option: str = "--as") -> Identity | None:
    """Return the identity; None without a subject. Raises InvalidInput for a tenant or scope without a subject."""
    if subject:
        try:
            return Identity(subject=subject, tenant=tenant, scopes=tuple(scopes or ()))
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidInput(f"Invalid {first['loc'][0]}: {first['msg']}", field="identity") from None
    if subject is not None or tenant or scopes:
        raise InvalidInput(f"--tenant and --scope need {option} SUBJECT: say whose they are.", field="subject")
    return None


def read_json(source: str | None, what: str) -> Any:
    """Return the JSON of an argument, of @FILE, or of stdin for -; None if it was left out. Raises InvalidInput."""
    if source is None:
        return None
    if source == "-":
        return parse_json(sys.stdin.read(), what)
    if not source.startswith("@"):
        return parse_json(source, what)
    try:
        text = Path(source[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"Cannot read the {what}: {error}", field=what) from None
    return parse_json(text, what)


def parse_metadata(text: str | None) -> dict[str, Any] | None:
    """Return the metadata as an object. Raises InvalidInput for any other JSON."""
    kept = parse_json(text, "metadata") if text is not None else None
    if kept is not None and not isinstance(kept, dict):
        raise InvalidInput("The metadata must be a JSON object.", field="metadata")
    return kept  # pyright: ignore[reportUnknownVariableType]


def parse_json(text: str, what: str) -> Any:
    """Return the value of JSON text. Raises InvalidInput that says where the text stops being JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"The {what} is not valid JSON: {error}.", field=what) from None
