"""A stand-in of SQS on this machine: what kombu's transport asks of it, in the JSON protocol of AWS."""

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any
from uuid import uuid4


@dataclass
class Message:
    body: str
    id: str = field(default_factory=lambda: str(uuid4()))
    handle: str = ""
    received: int = 0
    hidden_until: float = 0.0


class Refused(Exception):
    """An answer that is an error; its text is the error's code."""


class Sqs:
    """The queues, and what was asked. A message that was received is hidden until it is deleted or its time is over."""

    def __init__(self) -> None:
        self.port = 0
        self.queues: dict[str, list[Message]] = {}
        self.asked: list[str] = []
        self._changed = threading.Condition()

    @property
    def broker(self) -> str:
        return f"sqs://key:secret@127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/000000000000/{name}"

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises Refused, and KeyError for an operation that is not one of these."""
        with self._changed:
            self.asked.append(operation)
            return {
                "CreateQueue": self._create,
                "GetQueueUrl": self._named,
                "ListQueues": self._list,
                "GetQueueAttributes": self._count,
                "PurgeQueue": self._purge,
                "SendMessage": self._send,
                "ReceiveMessage": self._receive,
                "DeleteMessage": self._delete,
                "ChangeMessageVisibility": self._show,
            }[operation](asked)

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.queues.setdefault(asked["QueueName"], [])
        return {"QueueUrl": self.url(asked["QueueName"])}

    def _named(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._queue(asked["QueueName"])
        return {"QueueUrl": self.url(asked["QueueName"])}

    def _list(self, asked: dict[str, Any]) -> dict[str, Any]:
        prefix = asked.get("QueueNamePrefix", "")
        return {"QueueUrls": [self.url(name) for name in self.queues if name.startswith(prefix)]}

    def _count(self, asked: dict[str, Any]) -> dict[str, Any]:
        shown = [message for message in self._queue(asked["QueueUrl"]) if message.hidden_until <= monotonic()]
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(shown))}}

    def _purge(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._queue(asked["QueueUrl"]).clear()
        return {}

    def _send(self, asked: dict[str, Any]) -> dict[str, Any]:
        message = Message(asked["MessageBody"])
        self._queue(asked["QueueUrl"]).append(message)
        self._changed.notify_all()
        return {"MessageId": message.id, "MD5OfMessageBody": _md5(message.body)}

    def _receive(self, asked: dict[str, Any]) -> dict[str, Any]:
        queue, until = self._queue(asked["QueueUrl"]), monotonic() + asked.get("WaitTimeSeconds", 0)
        while True:
            shown = [message for message in queue if message.hidden_until <= monotonic()]
            if shown or (left := until - monotonic()) <= 0:
                break
            self._changed.wait(left)
        taken = shown[: asked.get("MaxNumberOfMessages", 1)]
        for message in taken:
            message.received += 1
            message.handle = str(uuid4())
            message.hidden_until = monotonic() + asked.get("VisibilityTimeout", 1800)
        return {"Messages": [_told(message) for message in taken]} if taken else {}

    def _delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        queue = self._queue(asked["QueueUrl"])
        queue[:] = [message for message in queue if message.handle != asked["ReceiptHandle"]]
        return {}

    def _show(self, asked: dict[str, Any]) -> dict[str, Any]:
        for message in self._queue(asked["QueueUrl"]):
            if message.handle == asked["ReceiptHandle"]:
                message.hidden_until = monotonic() + asked["VisibilityTimeout"]
        self._changed.notify_all()
        return {}

    def _queue(self, url: str) -> list[Message]:
        try:
            return self.queues[url.rpartition("/")[2]]
        except KeyError:
            raise Refused("AWS.SimpleQueueService.NonExistentQueue") from None


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _told(message: Message) -> dict[str, Any]:
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.handle,
        "Body": message.body,
        "MD5OfBody": _md5(message.body),
        "Attributes": {"ApproximateReceiveCount": str(message.received)},
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sqs: Sqs

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        service, _, operation = self.headers["X-Amz-Target"].partition(".")
        assert (service, "/sqs/aws4_request" in self.headers["Authorization"]) == ("AmazonSQS", True)
        try:
            status, told = 200, self.sqs.answer(operation, asked)
        except Refused as error:
            status, told = 400, {"__type": f"com.amazonaws.sqs#{error}", "message": str(error)}
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: `asked` has it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a worker that was killed while its request waited."""


@contextmanager
def standing_in() -> Generator[Sqs]:
    sqs = Sqs()
    handler = type("Handler", (_Handler,), {"sqs": sqs})
    with _Server(("127.0.0.1", 0), handler) as server:
        sqs.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield sqs
        finally:
            server.shutdown()
