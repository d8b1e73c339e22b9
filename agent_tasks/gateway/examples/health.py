"""Examples for the OpenAPI document: of whether the gateway lives, can serve, and what it has served."""

from typing import Any

from agent_tasks.gateway import headers
from agent_tasks.gateway.examples.answers import Responses, answers
from agent_tasks.gateway.shapes import Readiness


def _open(what: str, example: Any) -> dict[str, Any]:
    """An answer of an operation that is open to all, and so has no limits to tell of."""
    return {"description": what, "content": {"application/json": {"example": example}}}


healthz: Responses = {200: _open("It lives.", {"status": "ok"})}
_READY = {"postgres": "ok", "redis": "ok", "schema": "ok"}
readyz: Responses = {
    200: _open("It is ready.", {"status": "ok", "checks": _READY}),
    503: _open("It is not.", {"status": "unavailable", "checks": {**_READY, "redis": "cannot be reached"}})
    | {"model": Readiness},
}
get_metrics = answers(
    {
        200: {
            "description": "The metrics.",
            "headers": headers.of_answer(),
            "content": {
                "text/plain": {"example": "# TYPE agent_tasks_claims_total counter\nagent_tasks_claims_total 7.0\n"}
            },
        }
    }
)
