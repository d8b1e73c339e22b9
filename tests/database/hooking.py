"""Hooks that are made, and the answers to them."""

from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, HookClosed
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.signal import consumed
from tests.database import claimed, operations_of, park, submitted

APPROVAL = HookOptions("approval")


def made(client: AgentTasks, taken: Claim, asked: HookOptions = APPROVAL) -> str:
    """The URL of a hook that the claimed step makes."""
    return operations_of(client, taken).hook(asked)


def opened(client: AgentTasks, taken: Claim, *names: str, **options: Any) -> None:
    """The step commits its Wait."""
    with client.database.connection() as connection:
        park(connection, taken, *(names or ("approval",)), **options)


def asking(client: AgentTasks, asked: HookOptions = APPROVAL, **options: Any) -> tuple[UUID, str]:
    """A task that waits for what its hook sends."""
    taken = claimed(client, submitted(client, **options))
    url = made(client, taken, asked)
    opened(client, taken)
    return taken.id, url


def handed(client: AgentTasks, task_id: UUID) -> list[Any]:
    """What the step after the wait is given."""
    taken = claimed(client, task_id)
    with client.database.connection() as connection:
        return [row["payload"] for row in consumed(connection, task_id, taken.step_number)]


def refused(client: AgentTasks, url: str, payload: Any = 1, **options: Any) -> str:
    """Why the hook takes no answer, and shows nothing any more."""
    with pytest.raises(HookClosed) as caught:
        client.answer_hook(url, payload, **options)
    return caught.value.details["why"]
