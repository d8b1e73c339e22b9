"""The cards: what anybody may read of the gateway's skills, and what those see who may run them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from a2a.types import a2a_pb2 as a2a
from google.protobuf.json_format import MessageToDict
from starlette.datastructures import Headers
from starlette.responses import Response

from agent_tasks.gateway.a2a.skills import Skill, SkillReader
from agent_tasks.gateway.a2a.values import MODES, struct_of
from agent_tasks.gateway.arrival import Caller
from agent_tasks.settings import Settings

EXTENSION = "urn:agent-tasks:a2a:1"
"""What is meant by `agent-tasks` in a metadata, and the schemas of inputs: a protocol's word for both is missing."""
_CACHED = "public, max-age=60"
_VERSION = "1.0"


@dataclass(frozen=True)
class PublicCard:
    """The card that anybody may read, as it is sent."""

    text: bytes
    etag: str

    def answer(self, headers: Headers) -> Response:
        """The card, or 304 for whoever has it."""
        head = {"ETag": self.etag, "Cache-Control": _CACHED}
        if self._is_known(headers):
            return Response(status_code=304, headers=head)
        return Response(self.text, headers=head, media_type="application/json")

    def _is_known(self, headers: Headers) -> bool:
        """Whether the client has this card (RFC 9110, 13.1.2). No time says so: what is not there any more has none."""
        known = [tag.strip().removeprefix("W/") for tag in ",".join(headers.getlist("if-none-match")).split(",")]
        return "*" in known or self.etag in known


class Cards:
    """Makes the cards of a gateway."""

    def __init__(self, settings: Settings, skills: SkillReader) -> None:
        self._settings = settings
        self._skills = skills

    def public(self) -> PublicCard:
        """The card with the skills whose agents say that they are some."""
        shown = [skill for skill in self._skills.read().by_id.values() if skill.is_public]
        text = json.dumps(MessageToDict(self._card(shown)), sort_keys=True, separators=(",", ":")).encode()
        return PublicCard(text, f'"{hashlib.sha256(text).hexdigest()[:32]}"')

    def extended(self, caller: Caller) -> a2a.AgentCard:
        """The card with all skills that the caller may run."""
        return self._card([skill for skill in self._skills.read().by_id.values() if skill.may_be_run_by(caller)])

    def _card(self, skills: Sequence[Skill]) -> a2a.AgentCard:
        url = self._settings.public_url
        card = a2a.AgentCard(
            name=self._settings.a2a_name,
            description=self._settings.a2a_description,
            version=version("agent-tasks"),
            supported_interfaces=[
                a2a.AgentInterface(url=f"{url}/a2a", protocol_binding="JSONRPC", protocol_version=_VERSION),
                a2a.AgentInterface(url=f"{url}/a2a/v1", protocol_binding="HTTP+JSON", protocol_version=_VERSION),
            ],
            capabilities=a2a.AgentCapabilities(
                streaming=True,
                push_notifications=True,
                extended_agent_card=True,
                extensions=[
                    a2a.AgentExtension(
                        uri=EXTENSION,
                        description="Which skill a message is for, its budget, and the signals that tasks wait for.",
                        params=struct_of({"inputs": {skill.id: skill.agent.input_schema for skill in skills}}),
                    )
                ],
            ),
            default_input_modes=MODES,
            default_output_modes=MODES,
            skills=[_skill(skill) for skill in skills],
        )
        self._secure(card)
        return card

    def _secure(self, card: a2a.AgentCard) -> None:
        if self._settings.gateway_auth == "off":
            return
        card.security_schemes["bearer"].http_auth_security_scheme.CopyFrom(
            a2a.HTTPAuthSecurityScheme(scheme="bearer", description="An API key of the deployment, or an issuer's JWT.")
        )
        card.security_requirements.add().schemes["bearer"].CopyFrom(a2a.StringList())
        if issuer := self._settings.oidc_issuer:
            card.security_schemes["oidc"].open_id_connect_security_scheme.CopyFrom(
                a2a.OpenIdConnectSecurityScheme(
                    open_id_connect_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration"
                )
            )
            card.security_requirements.add().schemes["oidc"].CopyFrom(a2a.StringList())


def _skill(skill: Skill) -> a2a.AgentSkill:
    return a2a.AgentSkill(
        id=skill.id,
        name=skill.name,
        description=skill.description,
        tags=skill.tags,
        examples=_examples(skill.agent.input_schema),
    )


def _examples(schema: dict[str, Any] | None) -> list[str]:
    """Examples that the schema itself has, as JSON."""
    given: Any = (schema or {}).get("examples")
    return [json.dumps(each) for each in given] if isinstance(given, list) else []  # pyright: ignore
