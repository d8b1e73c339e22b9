"""Accepting the tasks that requests bring at the same moment: in one statement, as one flush commits them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent_tasks.client.client import AgentTasks
from agent_tasks.client.handle import TaskHandle
from agent_tasks.engine.batching.combiner import Combiner
from agent_tasks.transitions.audit import entry
from agent_tasks.transitions.submit import NewTask

_MOMENT = 0.0005
"""For so long others are waited for, where others came with the last batch: together each costs less than alone."""


@dataclass(frozen=True, slots=True)
class _Accept:
    task: NewTask
    said: Mapping[str, str]


class Accepting:
    """Accepts tasks for many threads. A thread alone waits for no company."""

    def __init__(self, client: AgentTasks) -> None:
        self._client = client
        self._combiner: Combiner[_Accept, TaskHandle] = Combiner(self._accept_all, moment=_MOMENT)

    def accept(self, task: NewTask) -> TaskHandle:
        """Accept a task of this context's caller. Raises what `AgentTasks.submit` raises of the servers."""
        return self._combiner.ask(_Accept(task, entry("submit", task.identity, task_id=task.id)))

    def _accept_all(self, asked: Sequence[_Accept]) -> list[TaskHandle]:
        return self._client.accept_all([each.task for each in asked], [each.said for each in asked])
