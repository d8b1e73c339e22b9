"""Log records: those of steps say of which task they are, and all are written as JSON where that is asked for."""

import json
import logging
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal

from agent_tasks.authoring.place import place

_OWN_HANDLERS = ("", "celery.task", "celery.redirected")
"""Loggers that have handlers of their own in a process of Celery's; the first is the root."""
_USUAL = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def of_step() -> dict[str, Any]:
    """Return what a record of the step that runs here says of it; nothing outside of steps."""
    here = place.get()
    if here is None:
        return {}
    said = {
        "task": str(here.task_id),
        "agent": here.agent,
        "step": here.step,
        "step_number": here.step_number,
        "run": here.run,
    }
    if here.identity is not None and here.identity.tenant:
        said["tenant"] = here.identity.tenant
    if here.traceparent is not None:
        said |= {"trace_id": here.traceparent[3:35], "span_id": here.traceparent[36:52]}
    return said


def add_step(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add what `of_step` returns to an event of structlog's; put it among its processors."""
    for name, value in of_step().items():
        event.setdefault(name, value)
    return event


class InStep(logging.Filter):
    """Lets every record pass, those of steps with their task, step, run, tenant and trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in of_step().items():
            record.__dict__.setdefault(name, value)
        return True


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON, with whatever else it was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        said |= {name: value for name, value in record.__dict__.items() if name not in _USUAL and name not in said}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            said["stack"] = self.formatStack(record.stack_info)
        line = json.dumps(said, default=str, ensure_ascii=False)
        return line.encode("utf-8", "backslashreplace").decode("utf-8")  # a lone surrogate: no stream takes it


_in_step = InStep()


def set_up(log_format: Literal["text", "json"]) -> None:
    """Have the handlers of this process say of which step a record is, and write JSON if that is the format."""
    for name in _OWN_HANDLERS:
        for handler in logging.getLogger(name or None).handlers:
            handler.addFilter(_in_step)  # once, however often
            if log_format == "json":
                handler.setFormatter(JsonFormatter())
