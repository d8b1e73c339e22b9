"""Questions: the signals with a schema that a task waits for, as requests to the host's user."""

from dataclasses import dataclass
from typing import Any

from agent_tasks.client.client import AgentTasks
from agent_tasks.client.signals import awaited_signals
from agent_tasks.client.taken_signals import TakenSignals
from agent_tasks.gateway.hook_form import heading_of
from agent_tasks.gateway.mcp.forms import ElicitationForm
from agent_tasks.task.snapshot import TaskSnapshot


@dataclass(frozen=True)
class Question:
    """One signal that a task waits for, and nobody has sent yet."""

    signal: str
    wait_id: str
    form: ElicitationForm
    asked_by: str

    @property
    def key(self) -> str:
        """By which it is answered; no other wait of the task ever has it."""
        return f"{self.signal}:{self.wait_id}"

    @property
    def request(self) -> dict[str, Any]:
        return self.form.request(self.asked_by)


def questions(client: AgentTasks, task: TaskSnapshot) -> list[Question]:
    """Return what a task asks for; none where it does not wait for signals, or takes any payload."""
    waiting = task.waiting_for
    if waiting is None or waiting.kind != "signal" or waiting.waits is not None:
        return []
    taken = TakenSignals(client, task.agent)
    schema = taken.payload_schema(task.step)
    if schema is None:
        return []
    ids = awaited_signals(client, task)
    return [
        Question(name, wait_id, ElicitationForm(schema), f"{heading_of(name)}: {taken.goal or task.agent}")
        for name, wait_id in ids.items()
    ]
