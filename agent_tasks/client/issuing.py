"""Issuing API keys for the gateway, and ending them."""

from collections.abc import Iterable
from datetime import timedelta

from agent_tasks.client.keys import ApiKey, NewKey, all_keys, create_key, revoke_key
from agent_tasks.deployment import Deployment


class Issuing(Deployment):
    """The part of `AgentTasks` that keeps API keys."""

    def create_key(
        self,
        *,
        tenant: str = "",
        subject: str,
        scopes: Iterable[str],
        expires_in: float | timedelta | None = None,
    ) -> NewKey:
        """Make an API key for the gateway, with which whoever has it acts as `subject` of `tenant`.

        `scopes` are those of the gateway (`tasks:write`, `tasks:read`, `tasks:signal`, `tasks:cancel`, `tasks:all`,
        `admin`) and others that agents ask for. `expires_in`: seconds or a timedelta; None: it is valid until it is
        revoked. `NewKey.key` is shown this once. Raises InvalidInput.
        """
        return create_key(self, tenant=tenant, subject=subject, scopes=scopes, expires_in=expires_in)

    def keys(self, tenant: str | None = None) -> list[ApiKey]:
        """The API keys of a tenant, or all of them, the oldest first; also those that have expired or were revoked."""
        return all_keys(self, tenant)

    def revoke_key(self, id: str) -> bool:
        """End an API key now, for good; False where there is none of this id."""
        return revoke_key(self, id)
