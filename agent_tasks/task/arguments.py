"""Checks of the public functions' arguments: a bad value is refused by its field's name before anything is done."""

import math
from typing import Any, TypeVar
from uuid import UUID

from agent_tasks.errors import InvalidInput, TaskNotFound

T = TypeVar("T")
LONGEST_WAIT = 100 * 365 * 86_400.0
"""A hundred years, in seconds."""
LONGEST_TTL = 10 * 365 * 86_400.0
LARGEST_BIGINT = 2**63 - 1
"""The largest number of a record that Postgres gives."""
LARGEST_NUMBER = 2**31 - 1
"""The largest number that an integer column holds."""
LONGEST_SIGNAL = 128
"""Characters in a signal's name."""
TASK_SIGNALS = "agent_tasks.task:"
"""What the signals begin with by which a step hears of the end of a Celery task: nobody else may send one."""
_SHOWN = 80


def shown(value: Any) -> str:
    """Return `value` as an error message shows it: short, whatever it is."""
    if isinstance(value, str | bytes):
        value = value[: _SHOWN + 1]
    try:
        text = repr(value)
    except Exception:  # a broken __repr__, or an int with more digits than Python prints
        return f"this {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def refused(what: str, value: Any, field: str) -> InvalidInput:
    """Return the error for a value that is not what `what` says."""
    return InvalidInput(f"{what}, not {shown(value)}", field=field)


def check_text(value: Any, field: str, most: int, *, printable: bool = False) -> None:
    """Raise InvalidInput unless `value` is text of 1 to `most` characters that Postgres can store."""
    if type(value) is not str:
        raise refused(f"{field} must be text", value, field)
    if not 0 < len(value) <= most:
        raise InvalidInput(f"{field} must have 1 to {most:,} characters, not {len(value):,}", field=field)
    if not is_storable(value) or (printable and not value.isprintable()):
        kind = "printable characters" if printable else "no NUL character and no lone surrogate"
        raise refused(f"{field} must have {kind}", value, field)


def check_names(**names: str | None) -> None:
    """Raise InvalidInput for a filter that is no text, or empty; the empty tenant is that of no tenant."""
    for name, value in names.items():
        if value is not None and not (name == "tenant" and value == ""):
            check_text(value, name, 256)


def check_signal_name(value: Any, field: str) -> None:
    """Raise InvalidInput unless `value` names a signal that anybody may send."""
    check_text(value, field, LONGEST_SIGNAL)
    check_not_reserved(value, field)


def check_not_reserved(value: str, field: str) -> None:
    """Raise InvalidInput for a name of what only workers send."""
    if value.startswith(TASK_SIGNALS):
        raise InvalidInput(
            f"{field} must not begin with {TASK_SIGNALS!r}: by such signals a step hears of the Celery tasks that it "
            "sent, from their workers alone",
            field=field,
        )


def is_storable(text: str) -> bool:
    """Whether Postgres can store the text: it has no NUL character and no lone surrogate."""
    return text.isprintable() or ("\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text))


def check_flag(value: Any, field: str) -> None:
    if type(value) is not bool:
        raise refused(f"{field} must be True or False", value, field)


def check_kind(value: Any, field: str, kind: type, said: str) -> None:
    """Raise InvalidInput unless `value` is None or a `kind`; `said` is how the message describes one."""
    if not isinstance(value, kind | None):
        raise refused(f"{field} must be {said}", value, field)


def check_whole(value: Any, field: str, least: int, most: int = LARGEST_NUMBER) -> None:
    if type(value) is not int or not least <= value <= most:
        raise refused(f"{field} must be a whole number from {least:,} to {most:,}", value, field)


def as_uuid(value: UUID | str) -> UUID:
    """Return the id of a task. Raises TaskNotFound for what is none."""
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise TaskNotFound(f"{shown(value)} is no task id: ids look like 0198c2f4-….", field="task_id") from None


def check_queue(value: Any) -> None:
    if value is not None:
        check_text(value, "queue", 200, printable=True)


def check_priority(value: Any) -> None:
    if type(value) is not int or not 0 <= value <= 9:
        raise refused("priority must be 0 to 9, where 9 is the most urgent", value, "priority")


def check_ttl(value: Any, field: str = "ttl") -> None:
    if value is not None and (type(value) not in (int, float) or not 0 < value <= LONGEST_TTL):
        raise refused(f"{field} must be seconds, above zero and at most ten years", value, field)


def checked_timeout(value: Any) -> float | None:
    """Return the most seconds to wait: 0 for a negative value, None (no limit) for None or infinity."""
    if value is None or value == math.inf:
        return None
    if type(value) not in (int, float) or not abs(value) <= LONGEST_WAIT:
        raise refused("timeout must be seconds, at most a hundred years, or None for no limit", value, "timeout")
    return max(0.0, float(value))
