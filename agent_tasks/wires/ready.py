"""What a first request of either protocol needs, imported and read before there is one."""

import ssl
from functools import lru_cache
from importlib import import_module

import anyio


@lru_cache(maxsize=1)
def certificates() -> ssl.SSLContext:
    """The certificates of this machine, which are read once: that takes longer than a request."""
    return ssl.create_default_context()


def make_ready(*modules: str) -> None:
    """Import these modules, and read the rest, so that no event loop does; where no loop runs."""
    certificates()
    for name in modules:
        import_module(name)
    anyio.run(anyio.sleep, 0)
