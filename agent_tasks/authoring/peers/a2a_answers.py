"""What is said to an agent that speaks A2A, and what its task says, as JSON of ours."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from agent_tasks.authoring.peers.mcp_result import told_error
from agent_tasks.errors import AgentTaskError, InvalidInput, StepFailed, UpstreamUnavailable

OURS = "agent-tasks"
"""The name in a metadata under which agent-tasks itself says and takes what A2A has no field for."""
WORKING = ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", "TASK_STATE_UNSPECIFIED")
ASKING = {"TASK_STATE_INPUT_REQUIRED": "input", "TASK_STATE_AUTH_REQUIRED": "auth"}
"""By the state of a remote task that waits for somebody the signal that answers."""
_WHY = {
    "TASK_STATE_FAILED": "failed",
    "TASK_STATE_CANCELED": "was cancelled there",
    "TASK_STATE_REJECTED": "was rejected",
}


class RemoteFailed(UpstreamUnavailable):
    """The task has failed at the remote agent, for good: whoever asked for it may ask anew."""

    retryable = False


def message_of(value: Any) -> dict[str, Any]:
    """Return the message that a child's input is: text, data, or parts as in the protocol with a metadata.

    Raises InvalidInput for parts that are no list.
    """
    if isinstance(value, str):
        return {"parts": [{"text": value}]}
    given = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
    if "parts" not in given:
        return {"parts": [{"data": value}]}
    if not isinstance(given["parts"], list) or not given["parts"]:
        raise InvalidInput("The parts= of a message to a remote agent are a list of A2A's parts", field="parts")
    return {name: given[name] for name in ("parts", "metadata", "extensions", "contextId") if given.get(name)}


def state_of(task: Mapping[str, Any]) -> str:
    """Return the state of a task."""
    return str((task.get("status") or {}).get("state", "TASK_STATE_UNSPECIFIED"))


def said_by(task: Mapping[str, Any]) -> str:
    """Return what a task's status says, as text."""
    return _text(((task.get("status") or {}).get("message") or {}).get("parts") or ())


def result_of(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return what came of a task: its artifacts, else what its status says."""
    artifacts: list[dict[str, Any]] = task.get("artifacts") or []
    parts = [part for artifact in artifacts for part in artifact.get("parts") or ()]
    if not parts:
        parts = ((task.get("status") or {}).get("message") or {}).get("parts") or []
    return {**_shown(parts), "task_id": task.get("id"), "context_id": task.get("contextId")}


def reply_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an agent says that answers with a message and makes no task."""
    return {**_shown(message.get("parts") or []), "task_id": None, "context_id": message.get("contextId")}


def failure_of(task: Mapping[str, Any], url: str) -> AgentTaskError:
    """Return the error of a task that has ended without a result: its own, where the other side is agent-tasks."""
    state = state_of(task)
    parts: list[dict[str, Any]] = ((task.get("status") or {}).get("message") or {}).get("parts") or []
    said = said_by(task)
    message = f"The task at {url} {_WHY.get(state, f'ended as {state}')}{': ' if said else ''}{said}"
    details: dict[str, Any] = {"state": state, "remote": task.get("id")}
    known = next((info for part in parts if (info := told_error(part.get("data"))) is not None), None)
    if known is not None:
        details["error"] = known.model_dump(mode="json")
    if known is not None and known.retryable:
        return RemoteFailed(message, retry_after=known.retry_after, **details)
    return (InvalidInput if state == "TASK_STATE_REJECTED" else StepFailed)(message, **details)


def usage_of(told: Mapping[str, Any]) -> tuple[int, float]:
    """Return the tokens and dollars that a task or a message says it has cost; nothing where it does not say so."""
    metadata = told.get("metadata")
    if not isinstance(metadata, Mapping):
        return 0, 0.0
    known = cast("Mapping[str, Any]", metadata)
    usage = known.get(f"{OURS}/usage")
    if usage is None and isinstance(ours := known.get(OURS), Mapping):
        budget = cast("Mapping[str, Any]", ours).get("budget")
        usage = cast("Mapping[str, Any]", budget).get("spent") if isinstance(budget, Mapping) else None
    if not isinstance(usage, Mapping):
        return 0, 0.0
    spent = cast("Mapping[str, Any]", usage)
    return int(_amount(spent.get("tokens"))), _amount(spent.get("usd"))


def _amount(value: Any) -> float:
    return float(value) if type(value) in (int, float) and 0 <= value <= 1e12 else 0.0


def _shown(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "text": _text(parts),
        "data": [_whole(part["data"]) for part in parts if "data" in part],
        "files": [
            {k: v for k, v in part.items() if k != "metadata"} for part in parts if "url" in part or "raw" in part
        ],
    }


def _text(parts: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(str(part["text"]) for part in parts if "text" in part)


def _whole(value: Any) -> Any:
    """Return data with whole numbers as such: A2A's are all doubles."""
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_whole(item) for item in cast("list[Any]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
