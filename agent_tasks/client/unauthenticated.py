"""Unauthenticated: no valid token, and what to do."""

from agent_tasks.errors import PermissionDenied
from agent_tasks.storable import storable


class Unauthenticated(PermissionDenied):
    """The token is missing or not valid."""

    def __init__(self, message: str, *, token_given: bool = True) -> None:
        super().__init__(storable(message))  # it may quote the token
        self.token_given = token_given

    @property
    def challenge(self) -> str:
        """The value of WWW-Authenticate (RFC 6750, section 3): what is wrong with a token that was given."""
        if not self.token_given:
            return "Bearer"
        text = "".join(c if " " <= c <= "~" else "?" for c in self.message.replace('"', "'").replace("\\", "/"))
        return f'Bearer error="invalid_token", error_description="{text}"'
