"""Log records: what those of a step say of it, as attributes, in JSON, and to structlog."""

import json
import logging
import sys
from pathlib import Path
from uuid import UUID

from agent_tasks import Identity
from agent_tasks.authoring.place import Place, place
from agent_tasks.logs import InStep, JsonFormatter, add_step

ID = UUID("01a21fd4-e19c-76fe-894d-ee8251f0252a")
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SAID = {
    "task": str(ID),
    "agent": "writer",
    "step": "draft",
    "step_number": 2,
    "run": 3,
    "tenant": "acme",
    "trace_id": TRACEPARENT[3:35],
    "span_id": TRACEPARENT[36:52],
}


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "acme.drafts", "levelname": "INFO", "msg": message, "args": args, **extra})
    assert InStep().filter(made) is True
    return made


def in_step() -> None:
    identity = Identity(subject="ana", tenant="acme", scopes=[])
    place.set(Place(ID, 2, 3, identity, None, "writer", "draft", TRACEPARENT))


def test_a_record_of_a_step_says_of_which_task_step_run_tenant_and_trace_it_is() -> None:
    in_step()
    try:
        assert {name: getattr(record("hello"), name) for name in SAID} == SAID
        assert record("hello", task="my own").__dict__["task"] == "my own"
        assert add_step(None, "info", {"event": "hello", "step": "mine"}) == {"event": "hello", **SAID, "step": "mine"}
    finally:
        place.set(None)
    assert not SAID.keys() & record("outside").__dict__.keys()
    assert add_step(None, "info", {"event": "outside"}) == {"event": "outside"}


def test_a_record_is_one_line_of_json_with_what_it_was_given_and_its_traceback() -> None:
    in_step()
    try:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            made = record("%s drafts", 3, ticket=7, exc_info=sys.exc_info(), odd={1, 2} and ID)
    finally:
        place.set(None)
    line = JsonFormatter().format(made)
    assert "\n" not in line
    said = json.loads(line)
    assert said.pop("timestamp").endswith("+00:00")
    assert "ValueError: two" in said.pop("exception")
    assert said == {"level": "info", "logger": "acme.drafts", "event": "3 drafts", "ticket": 7, "odd": str(ID), **SAID}


def test_a_record_has_the_stack_that_was_asked_for_and_is_written_whatever_text_it_is_given(tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    handler.setFormatter(JsonFormatter())
    handler.emit(record("odd \ud800 é", stack_info="Stack (most recent call last):\n  here"))
    handler.close()
    said = json.loads((tmp_path / "log").read_text(encoding="utf-8"))
    assert (said["event"], said["stack"]) == ("odd \ud800 é", "Stack (most recent call last):\n  here")
