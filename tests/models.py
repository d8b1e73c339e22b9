"""A stand-in for a provider of models, over HTTP as OpenAI's: it answers, refuses, and can wait for others to ask."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class Model:
    """Answers each request with a call of the output tool that it names, with the arguments given to `answer`."""

    def __init__(self) -> None:
        self.asked = 0
        """How many requests have come."""
        self._lock = threading.Lock()
        self._barrier: threading.Barrier | None = None
        self._arguments = "{}"
        self._refusals: list[tuple[int, dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to ask this model."""
        return {"OPENAI_BASE_URL": f"http://127.0.0.1:{self._server.server_port}/v1", "OPENAI_API_KEY": "none"}

    def answer(self, arguments: str, together: int = 1) -> None:
        """Answer with these arguments, but nobody before `together` requests are there at once."""
        self._arguments = arguments
        self._barrier = threading.Barrier(together)

    def refuse(self, status: int, headers: dict[str, str], times: int) -> None:
        """Refuse the next `times` requests."""
        self._refusals = [(status, headers)] * times

    def __enter__(self) -> "Model":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._barrier is not None:
            self._barrier.abort()
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, request: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        with self._lock:
            self.asked += 1
            if self._refusals:
                return *self._refusals.pop(), {"error": {"message": "too many requests"}}
        if self._barrier is not None:
            self._barrier.wait(timeout=60)
        call = {"name": request["tools"][0]["function"]["name"], "arguments": self._arguments}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": call}],
        }
        return (
            200,
            {},
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": request["model"],
                "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
            },
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, headers, body = model._reply(request)
                written = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Type": "application/json"}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(written)))
                self.end_headers()
                self.wfile.write(written)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
