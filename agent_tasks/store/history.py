"""The one way to write an event into a task's history: as a part of the statement that changes the task."""

import json
from collections.abc import Sequence
from typing import LiteralString

EventEntry = tuple[str, str | None]
"""The type of an event, and its data as JSON text."""


def written(select: LiteralString, name: LiteralString = "events_added") -> LiteralString:
    """The part of a WITH that appends the rows of `select`: task_id, seq, type and data.

    The same statement counts them in `event_seq` of their tasks; the numbers of a task have no gaps.
    """
    return f"""
    {name} AS (
        INSERT INTO agent_tasks.events (task_id, seq, type, data){select}
    )
    """


def event_text(events: Sequence[EventEntry]) -> str:
    """Write events as JSON text: an array would cost psycopg as much as the rest of a statement."""
    return f"[{', '.join(f'[{json.dumps(type_)}, {data or _NO_DATA}]' for type_, data in events)}]"


def event_list(events: Sequence[EventEntry]) -> dict[str, str]:
    """The parameter of `EVENTS` and `COUNTED`."""
    return {"events": event_text(events)}


_NO_DATA = "null"


def appended(events: LiteralString) -> LiteralString:
    """The part of a WITH that appends `events`, JSON as of `event_text`, to the histories of `changed`."""
    return written(f"""
        SELECT changed.id, changed.event_seq - jsonb_array_length({events}) + e.ordinal, e.event ->> 0,
            nullif(e.event -> 1, 'null'::jsonb)
        FROM changed, jsonb_array_elements({events}) WITH ORDINALITY AS e (event, ordinal)
    """)


EVENTS: LiteralString = appended("%(events)s::jsonb")
"""The part of a WITH that appends the same events to each of the rows."""

COUNTED: LiteralString = """
    version = version + 1, event_seq = event_seq + jsonb_array_length(%(events)s::jsonb)
"""
"""The columns that every update with `EVENTS` sets."""
