"""How many files a gateway may have open: each connection is one, and those that follow tasks last."""

import logging
import resource

log = logging.getLogger(__name__)
_FEW, _MANY = 4096, 65536
"""Too few for a gateway, and as many as it asks for."""


def allow_many() -> None:
    """Let this process open many files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _MANY:
        most = _MANY if hard == resource.RLIM_INFINITY else min(hard, _MANY)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if 0 <= soft < _FEW:
        log.warning(
            "This process may have %d files open, so that it serves fewer connections than that at once; others wait. "
            "Raise the limit (`ulimit -n`, or LimitNOFILE= of systemd).",
            soft,
        )
