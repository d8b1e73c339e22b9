"""What the gateway is to clients that look for who issues its tokens (RFC 9728)."""

from typing import Any

from agent_tasks.settings import Settings
from agent_tasks.task.scopes import Scope

PATH = "/mcp"
WELL_KNOWN = "/.well-known/oauth-protected-resource"


def resource_metadata(settings: Settings) -> dict[str, Any]:
    """The document of the protected resource, with the issuer where there is one: API keys are issued by nobody."""
    issuers = {"authorization_servers": [settings.oidc_issuer]} if settings.oidc_issuer else {}
    return {
        "resource": f"{settings.public_url}{PATH}",
        **issuers,
        "scopes_supported": [str(scope) for scope in Scope if scope is not Scope.ADMIN],
        "bearer_methods_supported": ["header"],
        "resource_name": "agent-tasks",
    }


def challenge(settings: Settings) -> str:
    """The parameter of WWW-Authenticate that says where that document is."""
    return f'resource_metadata="{settings.public_url}{WELL_KNOWN}{PATH}"'
