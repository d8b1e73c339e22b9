"""A2AAgent: an agent elsewhere that is a child of a task."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from agent_tasks.authoring.peers.peer import Headers, HeadersOf, Peer, checked_url
from agent_tasks.task.arguments import check_text

_LONGEST_SKILL = 256


class A2AAgent(Peer):
    """An agent that speaks A2A, for `Child(a2a=agent)`.

    `url` is where its card is: of the host, below which that is `/.well-known/agent-card.json`, or of the card itself,
    ending in `.json`. `skill`: which of its skills is meant, where the other side is agent-tasks too. `hosts`: further
    URLs, of whose origins its card may name an address; otherwise that must be of the origin of `url`, so that a card
    does not have headers sent elsewhere. The rest is as of `McpServer`.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Headers | HeadersOf | None = None,
        timeout: float | timedelta = 60.0,
        answer_bytes: int = 8 * 1024 * 1024,
        skill: str | None = None,
        hosts: Sequence[str] = (),
        _declares: bool = True,
    ) -> None:
        super().__init__(url, headers=headers, timeout=timeout, answer_bytes=answer_bytes, _declares=_declares)
        if skill is not None:
            check_text(skill, "skill", _LONGEST_SKILL)
        self.skill = skill
        self.hosts = [checked_url(host, "A2AAgent(hosts=)") for host in hosts]

    @property
    def named(self) -> dict[str, Any]:
        """What finds it in another worker: its URL, and whether that worker must have declared it."""
        return {"url": self.url, "declared": self.has_headers or self.skill is not None or bool(self.hosts)}
