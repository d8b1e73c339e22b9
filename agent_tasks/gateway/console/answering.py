"""Forms for the signals that a task waits for, made from their schemas."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent_tasks.client.client import AgentTasks
from agent_tasks.client.taken_signals import TakenSignals
from agent_tasks.gateway.hook_form import Field, HookForm, heading_of
from agent_tasks.task.snapshot import TaskSnapshot

_YES = {"ok", "yes", "approve", "approved", "accept", "accepted", "allow", "allowed", "confirm", "confirmed"}
_YES_OR_NO = ("true", "false")


@dataclass(frozen=True)
class Answering:
    """A form for one signal of one wait."""

    task: TaskSnapshot
    name: str
    wait_id: str
    form: HookForm
    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    problem: str = ""

    @property
    def heading(self) -> str:
        return heading_of(self.name)

    @property
    def verdict(self) -> Field | None:
        """The field that says yes or no, by two buttons in place of one; None where there is no such field."""
        for each in self.form.fields:
            is_verdict = each.key is not None and each.key.lower() in _YES
            if is_verdict and tuple(choice.value for choice in each.choices) == _YES_OR_NO:
                return each
        return None

    @property
    def fields(self) -> list[Field]:
        """The fields to fill in before one of the buttons is chosen."""
        return [each for each in self.form.fields if each is not self.verdict]


def answerings(client: AgentTasks, task: TaskSnapshot) -> list[Answering]:
    """Return a form for each signal that a task waits for; none where it waits for something else."""
    return [
        Answering(task, name, wait_id, form, {each.name: each.initial for each in form.fields})
        for name, wait_id, form in forms(client, task)
    ]


def forms(client: AgentTasks, task: TaskSnapshot) -> list[tuple[str, str, HookForm]]:
    """Return the names of the signals that a task waits for, the ids of their waits, and their forms."""
    waiting = task.waiting_for
    if waiting is None:
        return []
    if waiting.waits:  # a step waits itself: no annotation says what it takes
        found: list[tuple[str, str, HookForm]] = []
        for each in waiting.waits:
            if each.kind == "signal":
                found += [(name, (each.wait_ids or {}).get(name) or each.wait_id or "", HookForm.of(None))
                          for name in each.names or ()]  # fmt: skip
        return found
    if waiting.kind != "signal":
        return []
    schema: dict[str, Any] | None = TakenSignals(client, task.agent).payload_schema(task.step)
    ids = waiting.wait_ids or {}
    return [(name, ids.get(name) or waiting.wait_id or "", HookForm.of(schema)) for name in waiting.names or ()]
