"""The planner's tools: submit work for it, and look at what has become of it; each answers in words, at once."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat as uuid_utils

import agent_tasks
from agent_tasks import AgentTasks, Budget, Identity, TaskNotFound, TaskSnapshot
from agent_tasks.bundled.planner import answers
from agent_tasks.bundled.planner.results import Operation

AGENT = "planner"
RESPOND = "respond"
"""The step that answers prompts: a task that has come to it is no work of its own."""
_LOOKED_AT = 50
"""The newest tasks of a session among which the last one is looked for."""


@dataclass(frozen=True)
class PlannerTools:
    """The tools for one caller: `identity` owns what is submitted, and sees its own; in `session_id` it belongs.

    Without an identity only tasks without one are told of. `client` is by default the environment's deployment.
    `task_id` is the id that a task is to have, so that submitting it twice makes one; `asking` the task that asks.
    """

    client: AgentTasks | None = None
    identity: Identity | None = None
    session_id: str | None = None
    budget: Budget | None = None
    traceparent: str | None = None
    task_id: UUID | None = None
    asking: UUID | None = None

    def submit_plan_generation(self, requirement: str) -> str:
        """Submit a task that generates an implementation plan for a requirement; answers with its id at once."""
        return self._submit("generate_plan", requirement)

    def submit_requirements_parsing(self, requirements_text: str) -> str:
        """Submit a task that parses the requirements of a text; answers with its id at once."""
        return self._submit("parse_requirements", requirements_text)

    def submit_plan_validation(self, plan_text: str) -> str:
        """Submit a task that validates a plan; answers with its id at once."""
        return self._submit("validate_plan", plan_text)

    def get_task_result(self, task_id: str) -> str:
        """Say in what state a task is, with its result once it has completed, or why it failed and what to do."""
        try:
            id = UUID(str(task_id).strip())
        except ValueError:
            return f"“{str(task_id)[:80]}” is no task ID. One looks like 0198c2f4-7c1a-7e53-b9d1-3c0f6a9be011."
        if (task := self._found(id)) is not None:
            return answers.described(task)
        # By the id alone, so that it says nothing of whether somebody else has such a task.
        made = answers.made_at(id)
        if made is not None and made < datetime.now(UTC) - answers.RETENTION:
            return answers.expired(id)
        return answers.unknown(id)

    def get_last_result(self) -> str:
        """Say the same of the task that was submitted last in the session."""
        if self.session_id is None:
            return "There is no session, so no last task. Name one: “Check status of task ID …”"
        page = self._client.search(agent=AGENT, session_id=self.session_id, identity=self.identity, limit=_LOOKED_AT)
        last = next((task for task in page.tasks if self._is_work(task)), None)
        return f"Task ID: {last.id}. {answers.described(last)}" if last else answers.no_last_task()

    @property
    def _client(self) -> AgentTasks:
        return self.client or agent_tasks.default()

    def _submit(self, operation: Operation, text: str) -> str:
        client = self._client
        task = client.new_task(
            client.find_target(AGENT),
            {"operation": operation, "text": text},
            self.budget,
            identity=self.identity,
            session_id=self.session_id,
            traceparent=self.traceparent,
        )
        task = replace(task, id=self.task_id or uuid_utils.uuid7())
        if self.task_id is not None and self._found(self.task_id) is not None:
            return answers.submitted(task.id)
        client.accept(task)
        return answers.submitted(task.id)

    def _found(self, id: UUID) -> TaskSnapshot | None:
        """The task, if it is one of the planner's and the caller may be told of it."""
        try:
            task = self._client.get(id, identity=self.identity).snapshot()
        except TaskNotFound:
            return None
        return task if task.agent == AGENT and self._may_tell(task) else None

    def _may_tell(self, task: TaskSnapshot) -> bool:
        return self.identity is not None or task.identity is None

    def _is_work(self, task: TaskSnapshot) -> bool:
        is_answer = task.step == RESPOND or isinstance(task.result, str) or task.id == self.asking
        return not is_answer and self._may_tell(task)


def submit_plan_generation(requirement: str) -> str:
    """Submit a task that generates an implementation plan for a requirement; answers with its id at once."""
    return PlannerTools().submit_plan_generation(requirement)


def submit_requirements_parsing(requirements_text: str) -> str:
    """Submit a task that parses the requirements of a text; answers with its id at once."""
    return PlannerTools().submit_requirements_parsing(requirements_text)


def submit_plan_validation(plan_text: str) -> str:
    """Submit a task that validates a plan; answers with its id at once."""
    return PlannerTools().submit_plan_validation(plan_text)


def get_task_result(task_id: str) -> str:
    """Say in what state a task is, with its result once it has completed, or why it failed and what to do."""
    return PlannerTools().get_task_result(task_id)
