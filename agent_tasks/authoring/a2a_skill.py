"""A2ASkill: what an agent says of itself to those who reach it over A2A."""

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import check_text, refused

Reply = Literal["task", "message"]
_REPLIES: tuple[Reply, ...] = get_args(Reply)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_MOST_TAGS = 20


class A2ASkill:
    """An agent as a skill of the gateway's A2A card, for `Agent(a2a=A2ASkill(...))`.

    `id` is how a client names it, by default the agent's name; `name` and `description` are for people, by default the
    agent's name and its goal; `tags` are words by which it is found. `reply="message"`: a client that waits for the end
    is answered with a message that holds the result, instead of a task. Raises InvalidInput.
    """

    def __init__(
        self,
        *,
        id: str | None = None,
        tags: Sequence[str] = (),
        name: str | None = None,
        description: str | None = None,
        reply: Reply = "task",
    ) -> None:
        if id is not None and not (isinstance(id, str) and _ID.fullmatch(id)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise refused("A2ASkill(id=) must be 1 to 128 letters, digits, '.', '_', '/' and '-'", id, "id")
        if not isinstance(tags, list | tuple):
            raise refused("A2ASkill(tags=) must be a list of words", tags, "tags")
        if len(tags) > _MOST_TAGS:
            raise InvalidInput(f"A2ASkill(tags=) must have at most {_MOST_TAGS} words, not {len(tags)}", field="tags")
        for tag in tags:
            check_text(tag, "tags", 64)
        if name is not None:
            check_text(name, "name", 200)
        if description is not None:
            check_text(description, "description", 2000)
        if reply not in _REPLIES:
            raise refused(f"A2ASkill(reply=) must be one of {', '.join(_REPLIES)}", reply, "reply")
        self.id = id
        self.tags = tuple(tags)
        self.name = name
        self.description = description
        self.reply: Reply = reply

    def as_dict(self) -> dict[str, Any]:
        """What a worker registers of it."""
        return {
            "id": self.id,
            "tags": list(self.tags),
            "name": self.name,
            "description": self.description,
            "reply": self.reply,
        }

    def __repr__(self) -> str:
        return f"A2ASkill({self.id!r})"


UNSAID = A2ASkill()
"""That of an agent which says nothing of A2A."""


def registered(skill: A2ASkill | None) -> dict[str, Any] | None:
    """What a worker registers of what an agent says: None where it says nothing."""
    if skill is UNSAID:
        return None
    return {"hidden": True} if skill is None else skill.as_dict()
