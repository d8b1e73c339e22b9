"""Answering hooks: what their URLs ask for, and what is sent to them."""

from typing import Any

from agent_tasks.client.hooks import HookInfo, answer_hook, read_token, show_hook
from agent_tasks.client.signals import Receipt
from agent_tasks.deployment import Deployment


class Answering(Deployment):
    """The part of `AgentTasks` that answers hooks."""

    def hook(self, url: str) -> HookInfo:
        """Return what the URL of a hook (`ctx.hook`) asks for; looking changes nothing.

        Raises HookNotFound, and HookClosed where it takes no more answers.
        """
        return show_hook(self, read_token(self, url))

    def answer_hook(self, url: str, payload: Any = None, *, key: str | None = None) -> Receipt:
        """Send the signal that the URL of a hook was made for, as a POST to it does.

        `key`: repeating it gets the first receipt. A signature is not asked for: who runs this program is trusted.
        Raises HookNotFound, HookClosed where it takes no more answers, InvalidInput for a payload that the waiting
        step refuses (the task keeps waiting), PayloadTooLarge.
        """
        return answer_hook(self, read_token(self, url), payload, key=key)
