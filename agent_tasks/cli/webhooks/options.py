"""The options that the commands of webhooks share."""

from dataclasses import dataclass
from typing import Annotated

import typer

from agent_tasks.cli.options import identity_of
from agent_tasks.errors import InvalidInput
from agent_tasks.task.identity import Identity

Name = Annotated[str, typer.Argument(metavar="NAME", help="The endpoint's name; see agent-tasks webhooks list.")]
Secret = Annotated[
    str | None,
    typer.Option("--secret", metavar="whsec_…|-", help="A secret of your own. - reads stdin. Default: one is made."),
]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="NAME", help="The tenant. Default: none.")]


@dataclass(frozen=True)
class Asker:
    """Who asks, and for which tenant."""

    identity: Identity | None
    tenant: str | None

    @classmethod
    def of(cls, subject: str | None, tenant: str | None, scopes: list[str] | None) -> "Asker":
        """The identity where a subject is named; else a trusted program. Raises InvalidInput."""
        if subject is not None:
            return cls(identity_of(subject, tenant or "", scopes), None)
        if scopes:
            raise InvalidInput("--scope needs --as SUBJECT: say whose they are.", field="scope")
        return cls(None, tenant)


def read_secret(given: str | None) -> str | None:
    """Return the secret of the option, or of stdin, where no list of processes shows it."""
    return typer.get_text_stream("stdin").readline().strip() if given == "-" else given
