"""An endpoint that webhooks are sent to, and the checks of what is asked of one."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Literal, get_args
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.authoring.step import NAME
from agent_tasks.errors import InvalidInput
from agent_tasks.store.queries.webhooks import WebhookRow
from agent_tasks.task.arguments import check_text, refused
from agent_tasks.task.event import TOLD_TYPES

Payload = Literal["thin", "full"]
"""What is sent: which task it is and how it stands, or the task, too."""
_MOST = 100
_LONGEST_OVERLAP = 30 * 86_400.0


class Webhook(BaseModel):
    """An endpoint, and how it stands; times are the database's."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    tenant: str = ""
    """Each tenant has names of its own."""
    subject: str | None = None
    """The person or service of whose tasks it is told; None: of all of the tenant's."""
    url: str
    types: tuple[str, ...] | None = None
    """The types of events it is told of; None: all."""
    agents: tuple[str, ...] | None = None
    """The agents of whose tasks it is told; None: all."""
    payload: Payload = "thin"
    ordered: bool = True
    """Whether the events of one task come in order, each when the one before has come."""
    created_at: datetime
    disabled_at: datetime | None = None
    """When it was disabled; None: it is told of events."""
    disabled_why: Literal["asked", "gone", "failing"] | None = None
    """`asked`: by `disable`; `gone`: it has answered 410; `failing`: for five days nothing had come to it."""
    failing_since: datetime | None = None
    """The first of the failures since something last came to it."""
    rotating_until: datetime | None = None
    """Until when the secret that was replaced signs, too."""
    secret: str | None = Field(default=None, repr=False)
    """What is sent is signed with it; None in lists."""

    @classmethod
    def from_row(cls, row: WebhookRow, *, secret: bool) -> "Webhook":
        """Build it from a row, with its secret or without."""
        shown = {name: row[name] for name in cls.model_fields}
        return cls.model_validate(shown if secret else {**shown, "secret": None})


def check_types(types: Any) -> list[str] | None:
    """Return the types to tell of, each once. Raises InvalidInput, also for one that is misspelt."""
    found = _texts(types, "types", 128)
    for type_ in found or ():
        if type_ not in TOLD_TYPES and (nearest := get_close_matches(type_, TOLD_TYPES, 1, 0.85)):
            raise refused(
                f"types must be the system's or an agent's own (is it {nearest[0]}?)",
                type_,
                "types",
            )
    return found


def check_agents(agents: Any) -> list[str] | None:
    """Return the names of the agents to tell of, each once. Raises InvalidInput."""
    found = _texts(agents, "agents", 64)
    for name in found or ():
        if not NAME.match(name):
            raise refused("agents must be names of agents", name, "agents")
    return found


def check_payload(payload: Any) -> None:
    if payload not in get_args(Payload):
        raise refused("payload must be thin or full", payload, "payload")


def checked_overlap(overlap: Any) -> float:
    """Return for how many seconds two secrets sign. Raises InvalidInput."""
    seconds = overlap.total_seconds() if isinstance(overlap, timedelta) else overlap
    if type(seconds) not in (int, float) or not 0 <= seconds <= _LONGEST_OVERLAP:
        raise refused("overlap must be seconds, at most 30 days", overlap, "overlap")
    return float(seconds)


def host_of(url: str) -> str:
    """Return what of a URL is no secret: a path may be one."""
    return urlsplit(url).hostname or ""


def _texts(given: Any, field: str, most: int) -> list[str] | None:
    if given is None:
        return None
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise refused(f"{field} must be a list of texts", given, field)
    found: list[Any] = list(given)
    if not 0 < len(found) <= _MOST:
        raise InvalidInput(f"{field} must be 1 to {_MOST}, not {len(found):,}; left out: all.", field=field)
    for each in found:
        check_text(each, field, most)
    return list(dict.fromkeys(found))
