"""The secrets that sign what is sent to the callbacks of a tenant's tasks."""

import base64
from collections.abc import Sequence

from agent_tasks.task.signing import derived

_PREFIX = "whsec_"


def callback_secrets(keys: Sequence[bytes], tenant: str) -> tuple[str, ...]:
    """Return a tenant's secrets, one of each of `keys` and in their order, as Standard Webhooks writes them."""
    return tuple(_PREFIX + base64.b64encode(secret).decode() for secret in derived(keys, f"callback:{tenant}".encode()))
