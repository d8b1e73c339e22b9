"""A small OIDC issuer: a real HTTP server with keys that rotate, and the tokens that it signs."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from agent_tasks import Settings

AUDIENCE = "agent-tasks"


@cache
def rsa(kid: str) -> RSAKey:
    """A key, the same each time."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


@cache
def elliptic(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


class Issuer:
    """What it publishes can be changed while it runs; `hits` are the paths that were asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: Sequence[Key] = [rsa("k1")]
        self.hits: list[str] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        """In place of what it says of itself."""
        self.is_away = False
        self.held = threading.Event()
        self.held.set()
        """Cleared: it answers when it is set again."""

    def settings(self, **values: Any) -> Settings:
        """Of a gateway that takes its tokens."""
        return Settings(oidc_issuer=self.url, oidc_audience=AUDIENCE, **values)

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Good ones, with `claims` in their place; those that are None are left out."""
        all_ = {"iss": self.url, "aud": AUDIENCE, "sub": "ana", "exp": int(time.time()) + 900, **claims}
        return {name: value for name, value in all_.items() if value is not None}

    def token(self, key: Key | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of `claims`, signed with `key`: by default the first that it had."""
        key = key or rsa("k1")
        algorithm = "ES256" if isinstance(key, ECKey) else "RS256"
        said = {"alg": algorithm, "kid": key.kid, **(header or {})}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self.claims(**claims), key)

    def published(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.answers:
            return self.answers[path]
        documents: dict[str, Any] = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"},
            "/jwks": KeySet(list(self.keys)).as_dict(private=False),
        }
        return (200, {}, json.dumps(documents[path]).encode()) if path in documents else (404, {}, b"")


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.hits.append(self.path)
            issuer.held.wait(20)
            status, headers, body = (503, {}, b"") if issuer.is_away else issuer.published(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
