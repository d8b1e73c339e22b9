"""Whether a request is let through, and what its tenant has left."""

from dataclasses import dataclass

from agent_tasks.task.rate import Rate

_POLICY = "default"


@dataclass(frozen=True)
class Allowance:
    """Whether a request is let through, and what the tenant has left."""

    allowed: bool
    rate: Rate
    remaining: int
    """Requests that may come now."""
    reset_seconds: int
    """Until all of the quota is there again."""
    retry_after_seconds: int
    """Until the next request is let through; 0 where one would be now."""
    is_counted: bool = True
    """False where Redis was away."""

    @property
    def limit(self) -> int:
        return self.rate.quota

    @property
    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-11; with Retry-After where the request is refused."""
        if not self.is_counted:
            return {}
        headers = {
            "RateLimit-Policy": f'"{_POLICY}";q={self.rate.quota};w={self.rate.seconds}',
            "RateLimit": f'"{_POLICY}";r={self.remaining};t={self.reset_seconds}',
        }
        return headers if self.allowed else headers | {"Retry-After": str(self.retry_after_seconds)}
