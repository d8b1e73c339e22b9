"""Durable tasks for AI agents on Celery, Redis and Postgres."""

import functools
import inspect
import os
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from agent_tasks.authoring.a2a_skill import A2ASkill
from agent_tasks.authoring.agent import Agent, agent
from agent_tasks.authoring.context import Context, SyncContext
from agent_tasks.authoring.directives import Child, Done, FanOut, Next, Partial, Sleep, Wait
from agent_tasks.authoring.handed import ChildOutcome, Signal
from agent_tasks.authoring.kept import Kept
from agent_tasks.authoring.mcp_error import McpError
from agent_tasks.authoring.mcp_tool import McpTool
from agent_tasks.authoring.peers.a2a_agent import A2AAgent
from agent_tasks.authoring.peers.mcp_result import McpResult
from agent_tasks.authoring.peers.mcp_server import McpServer
from agent_tasks.authoring.retry import Retry
from agent_tasks.authoring.surroundings import surround, surround_async
from agent_tasks.client.agents import AgentInfo
from agent_tasks.client.alert import Alert
from agent_tasks.client.alert_rule import AlertRule
from agent_tasks.client.audit import AuditEntry
from agent_tasks.client.bulk import Bulk, BulkProblem
from agent_tasks.client.client import AgentTasks
from agent_tasks.client.delivery import Delivery, DeliveryPage
from agent_tasks.client.endpoint import Webhook
from agent_tasks.client.feed import FeedEvent, FeedPage
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.hooks import HookInfo
from agent_tasks.client.keys import ApiKey, NewKey
from agent_tasks.client.listing import Page
from agent_tasks.client.pauses import Pause
from agent_tasks.client.purging import KeptTree, PurgeReport
from agent_tasks.client.schedules import Schedule
from agent_tasks.client.spending import Spent
from agent_tasks.doorbell.installed import installed
from agent_tasks.errors import (
    AgentTaskError,
    AmbiguousCall,
    BudgetExhausted,
    ContextLost,
    ErrorInfo,
    ErrorType,
    HookClosed,
    HookNotFound,
    IdempotencyConflict,
    InvalidInput,
    InvalidState,
    KeyInUse,
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
from agent_tasks.settings import Settings
from agent_tasks.task.budget import Budget
from agent_tasks.task.event import Event
from agent_tasks.task.identity import Identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.task_filter import TaskFilter
from agent_tasks.task.usage import Usage

P = ParamSpec("P")
R = TypeVar("R")
_default: AgentTasks | None = None
_making = threading.Lock()


def default() -> AgentTasks:
    """Return the deployment behind the module-level functions, made at first use.

    Its settings are those that `agent_tasks.celery.install` was given in this process, else the environment's.
    """
    global _default
    if _default is None:
        with _making:
            if _default is None:
                ours = installed()
                _default = AgentTasks(None if ours is None else ours.settings)
    return _default


def _make_anew() -> None:
    """Free a forked child of what another thread of its parent was making."""
    global _making
    _making = threading.Lock()


os.register_at_fork(after_in_child=_make_anew)


def _on_default(method: "Callable[Concatenate[AgentTasks, P], R]") -> Callable[P, R]:
    """Return the module-level function that does the same on the default deployment."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return getattr(default(), method.__name__)(*args, **kwargs)

    own = inspect.signature(method)
    call.__signature__ = own.replace(parameters=list(own.parameters.values())[1:])  # type: ignore[attr-defined]
    return call


submit = _on_default(AgentTasks.submit)
submit_many = _on_default(AgentTasks.submit_many)
schedule = _on_default(AgentTasks.schedule)
get = _on_default(AgentTasks.get)

__all__ = [
    "A2AAgent",
    "A2ASkill",
    "Agent",
    "AgentInfo",
    "AgentTaskError",
    "AgentTasks",
    "Alert",
    "AlertRule",
    "AmbiguousCall",
    "ApiKey",
    "AuditEntry",
    "Budget",
    "BudgetExhausted",
    "Bulk",
    "BulkProblem",
    "Child",
    "ChildOutcome",
    "Context",
    "ContextLost",
    "Delivery",
    "DeliveryPage",
    "Done",
    "ErrorInfo",
    "ErrorType",
    "Event",
    "FanOut",
    "FeedEvent",
    "FeedPage",
    "HookClosed",
    "HookInfo",
    "HookNotFound",
    "IdempotencyConflict",
    "Identity",
    "InvalidInput",
    "InvalidState",
    "Kept",
    "KeptTree",
    "KeyInUse",
    "McpError",
    "McpResult",
    "McpServer",
    "McpTool",
    "NewKey",
    "Next",
    "Page",
    "Partial",
    "PartialCompletion",
    "Pause",
    "PayloadTooLarge",
    "PermissionDenied",
    "Poison",
    "PurgeReport",
    "Retry",
    "Schedule",
    "Settings",
    "Signal",
    "Sleep",
    "Spent",
    "StepFailed",
    "SuggestedAction",
    "SyncContext",
    "TaskCancelled",
    "TaskFilter",
    "TaskHandle",
    "TaskNotFound",
    "TaskSnapshot",
    "TaskStatus",
    "UnknownAgent",
    "UpstreamUnavailable",
    "Usage",
    "Wait",
    "Webhook",
    "agent",
    "default",
    "get",
    "schedule",
    "submit",
    "submit_many",
    "surround",
    "surround_async",
]
