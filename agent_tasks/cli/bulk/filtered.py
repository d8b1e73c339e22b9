"""Commands that are for all tasks of a filter: the options of the filter, and those that say how far it goes."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from agent_tasks.cli.bulk.running import run
from agent_tasks.cli.filters import FILTER, filter_of
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, identity_of
from agent_tasks.client.bulk import BulkOperation

_All = Annotated[bool, typer.Option("--all", help="All tasks are meant: needed where nothing says which.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Count what would be done, and do nothing.")]
_Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Change at most so many, the newest first.")]
_Key = Annotated[
    str | None, typer.Option("--idempotency-key", help="Same key and request, for 24 h by default: the same operation.")
]
_HOW: dict[str, tuple[Any, Any]] = {
    "all": (_All, False),
    "dry_run": (_DryRun, False),
    "limit": (_Limit, None),
    "idempotency_key": (_Key, None),
    "as_subject": (AsSubject, None),
    "scope": (AsScopes, None),
    "as_json": (AsJson, False),
}


def filtered(operation: BulkOperation, options: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Return the command of an operation: `options` has the arguments that are its own, and returns its options."""

    def command(**given: Any) -> None:
        own = options(**{name: given[name] for name in hints})
        asked = {name: given[name] for name in FILTER}
        tenant: str | None = given["tenant"]
        identity = identity_of(given["as_subject"], tenant or "" if given["as_subject"] else "", given["scope"])
        run(
            operation, filter_of(**asked), dry_run=given["dry_run"], limit=given["limit"], all=given["all"],
            identity=identity, idempotency_key=given["idempotency_key"], as_json=given["as_json"], **own,
        )  # fmt: skip

    hints = {name: hint for name, hint in get_type_hints(options, include_extras=True).items() if name != "return"}
    defaults = {name: parameter.default for name, parameter in inspect.signature(options).parameters.items()}
    every = {
        **{name: (hint, defaults[name]) for name, hint in hints.items()},
        **{name: (hint, None) for name, hint in FILTER.items()},
        **_HOW,
    }
    command.__name__, command.__doc__ = operation, options.__doc__
    command.__annotations__ = {name: hint for name, (hint, _) in every.items()}
    keyword = inspect.Parameter.KEYWORD_ONLY
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, keyword, default=default, annotation=hint) for name, (hint, default) in every.items()]
    )
    return command
