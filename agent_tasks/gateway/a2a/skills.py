"""Skills: the agents that are reached over A2A, and which of them a message is for."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_tasks.authoring.a2a_skill import Reply
from agent_tasks.client.agents import AgentInfo
from agent_tasks.errors import InvalidInput, TaskNotFound
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.known_agents import OfAgents
from agent_tasks.task.arguments import shown
from agent_tasks.task.snapshot import TaskSnapshot

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Skill:
    """An agent as a skill."""

    id: str
    agent: AgentInfo
    name: str
    description: str
    tags: tuple[str, ...]
    reply: Reply
    is_public: bool
    """Whether the agent says that it is one: then it is in the card that anybody may read."""

    @classmethod
    def of(cls, agent: AgentInfo) -> "Skill":
        """The skill of an agent that is not hidden."""
        said: dict[str, Any] = agent.a2a or {}
        name = said.get("name") or agent.name
        return cls(
            id=said.get("id") or agent.name,
            agent=agent,
            name=name,
            description=said.get("description") or agent.goal or f"Runs the agent {name}.",
            tags=tuple(said.get("tags") or (agent.name,)),
            reply=said.get("reply", "task"),
            is_public=agent.a2a is not None,
        )

    def may_be_run_by(self, caller: Caller) -> bool:
        """Whether the caller has the scopes that the agent asks for."""
        return caller.identity is None or set(self.agent.scopes) <= set(caller.identity.scopes)


@dataclass(frozen=True)
class Skills:
    """All skills, by their ids in order, and the agents that are none."""

    by_id: dict[str, Skill]
    by_agent: dict[str, Skill]
    hidden: frozenset[str]

    @classmethod
    def of(cls, agents: Sequence[AgentInfo]) -> "Skills":
        """The skills of the agents; of those that share an id the first by name has it."""
        hidden = frozenset(agent.name for agent in agents if (agent.a2a or {}).get("hidden"))
        by_id: dict[str, Skill] = {}
        for agent in agents:
            if agent.name not in hidden:
                skill = Skill.of(agent)
                first = by_id.setdefault(skill.id, skill)
                if first is not skill:
                    log.warning(
                        "two agents have one A2A id: id=%s agents=%s,%s", skill.id, first.agent.name, agent.name
                    )
        return cls(dict(sorted(by_id.items())), {skill.agent.name: skill for skill in by_id.values()}, hidden)

    def check_shown(self, task: TaskSnapshot) -> TaskSnapshot:
        """Return a task. Raises TaskNotFound for one of an agent that is hidden."""
        if task.agent in self.hidden:
            raise TaskNotFound(f"No task {task.id}.")
        return task

    def choose(self, id: str | None, caller: Caller) -> Skill:
        """The skill of this id, or the only one that the caller may run. Raises InvalidInput."""
        if id is not None and (found := self.by_id.get(id)) is not None:
            return found
        mine = [skill for skill in self.by_id.values() if skill.may_be_run_by(caller)]
        if id is None and len(mine) == 1:
            return mine[0]
        known = ", ".join(skill.id for skill in mine) or "none"
        what = "The message does not say for which skill it is" if id is None else f"There is no skill {shown(id)}"
        raise InvalidInput(
            f'{what}; the skills are: {known}. Name one in its metadata: {{"agent-tasks": {{"skill": "…"}}}}.',
            field="message.metadata.agent-tasks.skill",
        )


SkillReader = OfAgents[Skills]
"""Reads the skills."""
