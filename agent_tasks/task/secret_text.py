"""Text with a secret in it, which prints without the secret."""

import re

_URL_PASSWORD = re.compile(r"(?<=://)([^/@:]*):.*@", re.DOTALL)
_NAMED_PASSWORD = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^&\s]*)", re.IGNORECASE)
MASK = "***"


class SecretText(str):
    """Text that is a secret as a whole: `repr` and JSON show three stars, `str` is the text itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(self.masked)

    @property
    def masked(self) -> str:
        """Return the text as anybody may see it."""
        return MASK if self else ""


class SecretUrl(SecretText):
    """A URL whose password is the secret."""

    __slots__ = ()

    @property
    def masked(self) -> str:
        return _NAMED_PASSWORD.sub(rf"\1{MASK}", _URL_PASSWORD.sub(rf"\1:{MASK}@", self))
