"""The secrets that sign what is sent to the callbacks of a tenant's tasks."""

from collections.abc import Sequence

from agent_tasks.task.signing import derived
from agent_tasks.task.webhook_secret import secret_of


def callback_secrets(keys: Sequence[bytes], tenant: str) -> tuple[str, ...]:
    """Return a tenant's secrets, one of each of `keys` and in their order, as Standard Webhooks writes them."""
    return tuple(secret_of(secret) for secret in derived(keys, f"callback:{tenant}".encode()))
