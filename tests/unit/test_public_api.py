"""The public API: what `import agent_tasks` gives, and what it leaves alone."""

import inspect
import subprocess
import sys

import pytest

import agent_tasks
from agent_tasks import AgentTasks, aio
from agent_tasks.client.webhooks import Webhooks

PUBLIC = {
    "A2AAgent", "A2ASkill",
    "Agent", "AgentInfo", "AgentTaskError", "AgentTasks", "Alert", "AlertRule", "AmbiguousCall", "ApiKey",
    "AuditEntry", "Budget", "Bulk", "BulkProblem", "KeptTree", "PurgeReport",
    "BudgetExhausted", "Child", "ChildOutcome", "Context", "ContextLost", "Delivery", "DeliveryPage", "Done",
    "ErrorInfo", "ErrorType", "Event", "FanOut", "FeedEvent", "FeedPage", "HookClosed", "HookInfo",
    "HookNotFound", "IdempotencyConflict", "Identity",
    "InvalidInput", "InvalidState", "KeyInUse", "Kept", "McpError", "McpResult", "McpServer", "McpTool",
    "NewKey", "Next", "Page", "Partial", "PartialCompletion",
    "Pause",
    "PayloadTooLarge", "PermissionDenied", "Poison", "Retry", "Schedule", "Settings", "Signal", "Sleep", "Spent",
    "StepFailed", "SuggestedAction", "SyncContext", "TaskCancelled", "TaskFilter", "TaskHandle", "TaskNotFound",
    "TaskSnapshot",
    "TaskStatus", "UnknownAgent", "UpstreamUnavailable", "Usage", "Wait", "Webhook", "agent", "default", "get",
    "schedule", "submit", "submit_many", "surround", "surround_async",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert set(agent_tasks.__all__) == PUBLIC
    assert agent_tasks.__all__ == sorted(agent_tasks.__all__)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_says_what_it_is(name: str) -> None:
    said = getattr(agent_tasks, name).__doc__
    assert said is not None
    assert said.strip()
    assert not said.startswith(f"{name}(")  # what a dataclass writes where nobody did


@pytest.mark.parametrize(
    "cls", [agent_tasks.AgentTasks, agent_tasks.TaskHandle, agent_tasks.Context, agent_tasks.SyncContext, Webhooks]
)
def test_every_public_method_says_what_it_does(cls: type) -> None:
    silent = [
        name
        for name, member in inspect.getmembers(cls)
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property))
        and not member.__doc__
    ]
    assert silent == []


def test_the_import_pulls_in_no_worker_no_broker_and_no_framework() -> None:
    code = "import sys, agent_tasks, agent_tasks.aio; print(' '.join({name.partition('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(found.stdout.split())
    assert "agent_tasks" in loaded
    assert not loaded & {
        "workers",
        "beat",
        "celery",
        "kombu",
        "fastapi",
        "starlette",
        "uvicorn",
        "typer",
        "rich",
        "flower",
    }


@pytest.mark.parametrize("name", ["submit", "submit_many", "get"])
def test_a_function_of_the_module_is_a_method_of_a_deployment_and_awaited_for_async_callers(name: str) -> None:
    assert callable(getattr(AgentTasks, name))
    assert inspect.iscoroutinefunction(getattr(aio, name))


INTERNAL = {
    "commit", "commit_for", "find_row", "find_target", "new_task", "publish", "database", "notices", "publisher",
    "accept", "accept_all", "find_accepted", "redis", "ended", "look", "more_events", "prepared", "prepared_many",
    "read",
}  # fmt: skip
"""Of AgentTasks and TaskHandle, for this package's own use."""


@pytest.mark.parametrize(
    ("cls", "awaited"),
    [
        (agent_tasks.AgentTasks, aio.AsyncAgentTasks),
        (agent_tasks.TaskHandle, aio.AsyncTaskHandle),
        (Webhooks, aio.AsyncWebhooks),
    ],
)
def test_async_callers_have_every_method_with_the_same_arguments(cls: type, awaited: type) -> None:
    methods = {name for name, found in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}
    for name in methods - INTERNAL:
        theirs = getattr(awaited, name)
        assert inspect.iscoroutinefunction(theirs) or inspect.isasyncgenfunction(theirs), name
        assert inspect.signature(theirs).parameters.keys() == inspect.signature(getattr(cls, name)).parameters.keys()


def test_a_function_of_the_module_shows_the_arguments_of_the_method() -> None:
    own = list(inspect.signature(agent_tasks.submit).parameters)
    assert own == list(inspect.signature(AgentTasks.submit).parameters)[1:]


def test_importing_connects_to_nothing_and_needs_no_settings() -> None:
    assert agent_tasks._default is None or isinstance(agent_tasks._default, AgentTasks)
    settings = agent_tasks.Settings(database_url="postgresql://nowhere.invalid/x", redis_url="redis://nowhere.invalid")
    client = AgentTasks(settings)
    client.close()
