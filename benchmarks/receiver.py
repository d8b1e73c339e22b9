"""A receiver of webhooks in a process of its own, which notes when each came, and never answers at /hang."""

import asyncio
import json
import re
import sys
import time
import urllib.request
from typing import Any

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_ID = re.compile(rb"webhook-id: (\S+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"


class Receiver:
    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        self.hanging = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /seen"):
                body = json.dumps({"came": len(self.came), "hanging": self.hanging}).encode()
                writer.write(_ANSWER % (b"200 OK", len(body), body))
            elif head.startswith(b"GET /came"):
                body = json.dumps(self.came).encode()
                self.came = {}
                writer.write(_ANSWER % (b"200 OK", len(body), body))
            elif head.startswith(b"POST /hang"):
                self.hanging += 1
                try:
                    await reader.read()
                    await reader.read()
                finally:
                    self.hanging -= 1
            else:
                found, length = _ID.search(head), _LENGTH.search(head)
                if found and length:
                    self.came[found[1].decode()] = time.time()
                    await reader.readexactly(int(length[1]))
                writer.write(_ANSWER % (b"204 No Content", 0, b""))
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


def ask(port: int, path: str) -> Any:
    """What the receiver has seen, or, once, when each webhook came."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.loads(answer.read())


async def main(port: int) -> None:
    server = await asyncio.start_server(Receiver().serve, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
