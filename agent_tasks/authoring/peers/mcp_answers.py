"""What a person's answer to a server's questions is, as MCP has it."""

from collections.abc import Mapping
from typing import Any, cast

ASKED = "mcp.input_required"
"""The event that says what a server asks, and by which signal it is answered."""
_ACTIONS = ("accept", "decline", "cancel")


def responses(requests: Mapping[str, Any], payload: Any) -> dict[str, Any]:
    """Return the responses to `requests` that the payload of a signal gives.

    The payload is a mapping by the requests' keys, of which some may be missing; or the answer itself, where there is
    one request. An answer is what the form asks for, or in full `{"action": "accept", "content": {…}}`; None declines.
    """
    if isinstance(payload, Mapping) and payload and set(cast("Mapping[str, Any]", payload)) <= set(requests):
        return {key: _response(answer) for key, answer in cast("Mapping[str, Any]", payload).items()}
    return {key: _response(payload) for key in requests}


def _response(answer: Any) -> dict[str, Any]:
    if answer is None:
        return {"action": "decline"}
    if isinstance(answer, Mapping):
        given = dict(cast("Mapping[str, Any]", answer))
        if given.get("action") in _ACTIONS and set(given) <= {"action", "content"}:
            return given
        return {"action": "accept", "content": given}
    return {"action": "accept", "content": {"value": answer}}
