"""Advice on a task that did not complete, from what happened to it."""

from uuid import UUID

from agent_tasks.errors import ErrorInfo, ErrorType, SuggestedAction

_BUDGET_OPTIONS = ("seconds", "tokens", "usd", "steps", "calls")


def advice(task_id: UUID | str, error: ErrorInfo | None) -> str:
    """Return one or two sentences with the command to run; empty if there is nothing to do."""
    if error is None:
        return ""
    resume, details = f"agent-tasks resume {task_id}", error.details
    if details.get("purged"):
        return "Its records were purged: submit it again."
    if details.get("not_undone"):
        return f"Check by hand what was not undone, then name the step to continue from: {resume} --from-step N"
    match error.type:
        case ErrorType.BUDGET_EXHAUSTED:
            return _budget(resume, details.get("resource"), "depth" in details)
        case ErrorType.UPSTREAM_UNAVAILABLE:
            return f"Once it answers again: {resume}"
        case ErrorType.PARTIAL_COMPLETION if details.get("child"):
            return f"See why its child failed: agent-tasks status {details['child']}"
        case ErrorType.PARTIAL_COMPLETION:
            return f"Use its result, or let it go on: {resume}"
        case ErrorType.CONTEXT_LOST if error.suggested_action is SuggestedAction.RESUME:
            return f"Start a worker that has the agent, then: {resume}"
        case ErrorType.CONTEXT_LOST:
            return f"See what happened: agent-tasks events {task_id}"
        case ErrorType.INVALID_INPUT if error.checkpoint is None:
            return "Correct the input and submit it again."
        case ErrorType.INVALID_INPUT:
            return f"Correct the step that passed it on, then: {resume}"
        case ErrorType.PERMISSION_DENIED:
            return "Submit it as an identity that may do this."
        case ErrorType.PAYLOAD_TOO_LARGE:
            return "Keep the value elsewhere and pass its address, or raise AGENT_TASKS_PAYLOAD_LIMIT."
        case ErrorType.POISON:
            return f"See in the workers' logs what ended them (memory, native code). Then: {resume}"
        case ErrorType.STEP_FAILED if error.suggested_action is SuggestedAction.RESUME:
            return f"Try it again: {resume}"
        case ErrorType.STEP_FAILED:
            trace = f"agent-tasks status --traceback {task_id}"
            return f"See where it failed: {trace}. Fix the code, restart the workers, then: {resume}"
        case ErrorType.CANCELLED:
            return f"To let it go on after all: {resume}"


def _budget(resume: str, resource: object, is_depth: bool) -> str:
    if is_depth:
        return f"Let its agents nest fewer levels, or raise AGENT_TASKS_MAX_DEPTH for the workers. Then: {resume}"
    if resource == "children":
        return f"Spawn fewer at once, or raise AGENT_TASKS_MAX_CHILDREN for the workers. Then: {resume}"
    if resource in _BUDGET_OPTIONS:
        return f"Give it more: {resume} --budget-{resource} N"
    return f"Give it more: {resume}"
