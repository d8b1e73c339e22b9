"""The options that say which tasks are meant, of `ls` and `bulk`."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from agent_tasks.cli.moments import HOW, moment
from agent_tasks.errors import ErrorType
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.task_filter import TaskFilter, pairs

_WHICH = "Which tasks"
_TIME = "TIME"
Status = Annotated[TaskStatus | None, typer.Option("--status", rich_help_panel=_WHICH, help="In this state.")]
OfAgent = Annotated[str | None, typer.Option("--agent", rich_help_panel=_WHICH, help="Of this agent.")]
AtStep = Annotated[str | None, typer.Option("--step", rich_help_panel=_WHICH, help="At this step, or ended at it.")]
OnQueue = Annotated[str | None, typer.Option("--queue", rich_help_panel=_WHICH, help="On this queue.")]
OfTenant = Annotated[
    str | None, typer.Option("--tenant", rich_help_panel=_WHICH, help="Of this tenant; with --as, their tenant.")
]
OfSubject = Annotated[str | None, typer.Option("--subject", rich_help_panel=_WHICH, help="Of this person or service.")]
OfSession = Annotated[str | None, typer.Option("--session-id", rich_help_panel=_WHICH, help="Of this conversation.")]
WithError = Annotated[
    ErrorType | None, typer.Option("--error-type", rich_help_panel=_WHICH, help="Ended with this type of error.")
]
CreatedAfter = Annotated[
    str | None,
    typer.Option(
        "--created-after", metavar=_TIME, rich_help_panel=_WHICH, help=f"Submitted at this time or later: {HOW}."
    ),
]
CreatedBefore = Annotated[
    str | None,
    typer.Option("--created-before", metavar=_TIME, rich_help_panel=_WHICH, help="Submitted earlier than this."),
]
EndedAfter = Annotated[
    str | None,
    typer.Option("--ended-after", metavar=_TIME, rich_help_panel=_WHICH, help="Ended at this time or later."),
]
EndedBefore = Annotated[
    str | None, typer.Option("--ended-before", metavar=_TIME, rich_help_panel=_WHICH, help="Ended earlier than this.")
]
WithMetadata = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata", metavar="KEY=VALUE", rich_help_panel=_WHICH, help="With this in its metadata; repeatable."
    ),
]
WithText = Annotated[
    str | None,
    typer.Option("--text", rich_help_panel=_WHICH, help="The beginning of an id, or words of the error's message."),
]
FILTER: dict[str, Any] = {
    "status": Status, "agent": OfAgent, "step": AtStep, "queue": OnQueue, "tenant": OfTenant, "subject": OfSubject,
    "session_id": OfSession, "error_type": WithError, "created_after": CreatedAfter, "created_before": CreatedBefore,
    "ended_after": EndedAfter, "ended_before": EndedBefore, "metadata": WithMetadata, "text": WithText,
}  # fmt: skip
"""All of them, by the names of the filter's fields."""


def filter_of(
    *,
    metadata: Sequence[str] | None,
    created_after: str | None,
    created_before: str | None,
    ended_after: str | None,
    ended_before: str | None,
    **others: Any,
) -> TaskFilter:
    """Return the filter that the options say. Raises InvalidInput."""
    return TaskFilter(
        metadata=pairs(metadata),
        created_after=moment(created_after, "--created-after"),
        created_before=moment(created_before, "--created-before"),
        ended_after=moment(ended_after, "--ended-after"),
        ended_before=moment(ended_before, "--ended-before"),
        **others,
    )
