"""Examples for the OpenAPI document: of the agents, what was spent, and who wrote what."""

from typing import Any

from agent_tasks.gateway.examples.answers import ID, answers, of

AGENT: dict[str, Any] = {
    "name": "writer",
    "goal": "Writes about a topic.",
    "first_step": "outline",
    "input_schema": {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]},
}
list_agents = answers({200: of("The agents.", {"agents": [AGENT]})})

SPENT: dict[str, Any] = {
    "agent": None,
    "tenant": "acme",
    "subject": None,
    "model": None,
    "day": "2026-11-27",
    "tasks": 41,
    "charges": 96,
    "tokens": 184_220,
    "usd": 1.31,
}
get_spend = answers({200: of("The sums.", {"spend": [SPENT]})}, 403)

AUDITED: dict[str, Any] = {
    "id": 812,
    "at": "2026-11-27T09:00:31.112Z",
    "tenant": "acme",
    "subject": "ana",
    "key_id": "k7f3",
    "door": "http",
    "origin": "10.0.4.17",
    "operation": "cancel",
    "task_id": ID,
    "target": None,
    "data": {"reason": "not needed any more"},
    "answer": "accepted",
}
get_audit = answers({200: of("A page.", {"entries": [AUDITED], "next": None})})
