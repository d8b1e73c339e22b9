"""A message that has come in: what it says, as the input of an agent's first step or the payload of a signal."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, cast

from a2a.types import a2a_pb2 as a2a
from a2a.utils.errors import ContentTypeNotSupportedError
from a2a.utils.input_mode_validator import validate_input_modes
from pydantic import Field, ValidationError

from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.a2a.values import JSON, MODES, TEXT, is_same, plain, plain_struct
from agent_tasks.gateway.bodies import Body, BudgetBody
from agent_tasks.task.arguments import check_text
from agent_tasks.task.identity import Identity
from agent_tasks.transitions.signal import SentRow

KEY = "agent-tasks"
"""What is meant for this server has this name in a metadata."""
LONGEST_ID = 240
"""Characters of a message's id, with which a key and a signal's id are made."""
_TAKES = a2a.AgentCard(default_input_modes=MODES)
_TEXTUAL = ("string", None)


class MessageOptions(Body):
    """What a message's metadata says to this server."""

    skill: str | None = None
    budget: BudgetBody | None = None
    signal: str | None = None
    """The signal that a further message is."""
    wait_id: str | None = Field(default=None, min_length=1, max_length=255)
    """The one wait that it answers."""


@dataclass(frozen=True)
class IncomingMessage:
    """A message that can be carried out: its parts, and what it says beside them."""

    message: a2a.Message
    options: MessageOptions
    text: str | None
    data: Any
    has_data: bool
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    """What is kept with a task that it begins."""

    @property
    def id(self) -> str:
        return self.message.message_id

    @property
    def digest(self) -> bytes:
        """What makes two messages that begin tasks the same: all that they say, and not what is made of it here."""
        data = {"data": self.data} if self.has_data else {}
        options = self.options.model_dump(exclude_unset=True)
        whole = [self.text, data, self.message.context_id, self.metadata, options]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).digest()

    def is_sent(self, signal: SentRow, sender: Identity | None) -> bool:
        """Whether a signal is this message, from the same sender."""
        by = signal["sender"] or {}
        who = (sender.tenant, sender.subject) if sender else (None, None)
        return (
            (by.get("tenant"), by.get("subject")) == who
            and self.options.signal in (None, signal["name"])
            and self.options.wait_id in (None, signal["wait_id"])
            and self._is_payload(signal["payload"])
        )

    def _is_payload(self, stored: Any) -> bool:
        """Whether a payload can have been made of this message, whatever the step took at that time."""
        if self.text is None:
            return is_same(self.data, stored)
        if not self.has_data and stored == self.text:
            return True
        if not isinstance(stored, dict) or (self.has_data and not isinstance(self.data, dict)):
            return False
        given = cast(dict[str, Any], self.data) if self.has_data else {}
        named = cast(dict[str, Any], stored).keys() - given.keys()
        made = {**dict.fromkeys(named or {"text"}, self.text), **given}
        return len(named) <= 1 and is_same(made, stored)

    def arguments(self, schema: dict[str, Any] | None, what: str) -> tuple[dict[str, Any], str | None]:
        """The arguments of a step with this schema, and which of them is the text. Raises InvalidInput."""
        if self.has_data and not isinstance(self.data, dict):
            raise InvalidInput(
                f"{what} takes its arguments by name: send them as an object in a data part, not as another value.",
                field="message.parts",
            )
        given = cast(dict[str, Any], self.data) if self.has_data else {}
        if self.text is None:
            return given, None
        name = _named_by_text(schema or {}, given, what)
        return {**given, name: self.text}, name

    def payload(self, schema: dict[str, Any] | None, what: str) -> Any:
        """The payload of a signal that a step with this schema takes; None: any. Raises InvalidInput."""
        if self.text is None:
            return self.data
        if schema is not None and _kind(schema) == "object":
            return self.arguments(schema, what)[0]
        if not self.has_data:
            return self.text
        if isinstance(self.data, dict):
            return {"text": self.text, **cast(dict[str, Any], self.data)}
        raise InvalidInput(
            f"{what} takes one value: send a text or a data part, not both.",
            field="message.parts",
        )


def read_message(request: a2a.SendMessageRequest) -> IncomingMessage:
    """Read a message.

    Raises InvalidInput, and ContentTypeNotSupportedError for parts that are neither text nor data.
    """
    message = request.message
    check_text(message.message_id, "message.messageId", LONGEST_ID)
    if message.role != a2a.ROLE_USER:
        raise InvalidInput(
            "message.role must be ROLE_USER: an agent's messages are this server's.", field="message.role"
        )
    validate_input_modes(message, _TAKES)
    _check_output_modes(list(request.configuration.accepted_output_modes))
    texts: list[str] = []
    data: list[Any] = []
    for part in message.parts:
        kind = part.WhichOneof("content")
        if kind == "text":
            texts.append(part.text)
        elif kind == "data":
            data.append(plain(part.data))
        else:
            raise ContentTypeNotSupportedError(
                f"A part has {kind or 'nothing'} in it, and what is taken is text and data. Store files elsewhere, and "
                "send their addresses as text or data."
            )
    if len(data) > 1:
        raise InvalidInput(f"A message has one data part at the most, not {len(data)}.", field="message.parts")
    metadata = {**plain_struct(request.metadata), **plain_struct(message.metadata)}
    options = _options_of(metadata.pop(KEY, {}))
    value = data[0] if data else None
    if options.skill is None and isinstance(value, dict) and _is_envelope(cast(dict[str, Any], value)):
        options, value = options.model_copy(update={"skill": value["skill"]}), value.get("input", {})
    return IncomingMessage(message, options, "\n".join(texts) if texts else None, value, bool(data), metadata)


def _options_of(given: Any) -> MessageOptions:
    try:
        return MessageOptions.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([f"message.metadata.{KEY}", *map(str, first["loc"])])
        raise InvalidInput(f"{place}: {first['msg']}", field=place) from None


def _is_envelope(value: dict[str, Any]) -> bool:
    """Whether a data part says for which skill its input is: `{"skill": "…", "input": {…}}`."""
    return value.keys() <= {"skill", "input"} and isinstance(value.get("skill"), str)


def _check_output_modes(accepted: list[str]) -> None:
    if accepted and not {*accepted} & {*MODES, "*/*", "text/*", "application/*"}:
        raise ContentTypeNotSupportedError(
            f"Results come as {TEXT} or {JSON}, neither of which is among acceptedOutputModes."
        )


def _named_by_text(schema: dict[str, Any], given: dict[str, Any], what: str) -> str:
    """The one argument that a text can be: of those that are still to be given the required ones come first."""
    properties: dict[str, Any] = schema.get("properties", {})
    free = [name for name, said in properties.items() if name not in given and _takes_text(said)]
    required = [name for name in free if name in schema.get("required", ())]
    found = required or free
    if len(found) == 1:
        return found[0]
    which = f"it could be any of {', '.join(found)}" if found else "it has no argument that is text"
    names = ", ".join(properties) or "none"
    raise InvalidInput(
        f"What the text is to {what} is not clear: {which}. Send a data part with its arguments by name ({names}).",
        field="message.parts",
    )


def _takes_text(said: dict[str, Any]) -> bool:
    if "anyOf" in said:
        return any(_takes_text(each) for each in said["anyOf"])
    return not said.keys() & {"$ref", "allOf", "oneOf", "const"} and _kind(said) in _TEXTUAL


def _kind(schema: dict[str, Any]) -> Any:
    return schema.get("type")
