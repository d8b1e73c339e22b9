"""Durable tasks for AI agents on Celery, Redis and Postgres."""

from typing import Any
from uuid import UUID

from agent_tasks.agents import Agent, agent
from agent_tasks.budgets import Budget
from agent_tasks.client import AgentTasks
from agent_tasks.context import Context, SyncContext
from agent_tasks.directives import Child, Done, FanOut, Next, Partial, Sleep, Wait
from agent_tasks.errors import (
    AgentTaskError,
    BudgetExhausted,
    ContextLost,
    ErrorInfo,
    ErrorType,
    IdempotencyConflict,
    InvalidInput,
    InvalidState,
    PartialCompletion,
    PayloadTooLarge,
    PermissionDenied,
    Poison,
    StepFailed,
    SuggestedAction,
    TaskCancelled,
    TaskNotFound,
    UnknownAgent,
    UpstreamUnavailable,
)
from agent_tasks.events import Event
from agent_tasks.handle import TaskHandle
from agent_tasks.identity import Identity
from agent_tasks.outcomes import ChildOutcome, Signal
from agent_tasks.retries import Retry
from agent_tasks.schedules import Schedule
from agent_tasks.settings import Settings
from agent_tasks.snapshots import TaskSnapshot
from agent_tasks.states import TaskStatus

_default: AgentTasks | None = None


def default() -> AgentTasks:
    """The deployment behind the module-level functions, made from the environment at first use."""
    global _default
    if _default is None:
        _default = AgentTasks()
    return _default


def submit(agent: "str | Agent", input: Any = None, **options: Any) -> TaskHandle:
    """`AgentTasks.submit` on the default deployment."""
    return default().submit(agent, input, **options)


def submit_many(agent: "str | Agent", inputs: Any, **options: Any) -> list[TaskHandle]:
    """`AgentTasks.submit_many` on the default deployment."""
    return default().submit_many(agent, inputs, **options)


def schedule(agent: "str | Agent", input: Any = None, **options: Any) -> Schedule:
    """`AgentTasks.schedule` on the default deployment."""
    return default().schedule(agent, input, **options)


def get(task_id: UUID | str, *, identity: Identity | None = None) -> TaskHandle:
    """`AgentTasks.get` on the default deployment."""
    return default().get(task_id, identity=identity)


__all__ = [
    "Agent",
    "AgentTaskError",
    "AgentTasks",
    "Budget",
    "BudgetExhausted",
    "Child",
    "ChildOutcome",
    "Context",
    "ContextLost",
    "Done",
    "ErrorInfo",
    "ErrorType",
    "Event",
    "FanOut",
    "IdempotencyConflict",
    "Identity",
    "InvalidInput",
    "InvalidState",
    "Next",
    "Partial",
    "PartialCompletion",
    "PayloadTooLarge",
    "PermissionDenied",
    "Poison",
    "Retry",
    "Schedule",
    "Settings",
    "Signal",
    "Sleep",
    "StepFailed",
    "SuggestedAction",
    "SyncContext",
    "TaskCancelled",
    "TaskHandle",
    "TaskNotFound",
    "TaskSnapshot",
    "TaskStatus",
    "UnknownAgent",
    "UpstreamUnavailable",
    "Wait",
    "agent",
    "default",
    "get",
    "schedule",
    "submit",
    "submit_many",
]
