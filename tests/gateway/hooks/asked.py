"""What is asked of somebody outside, and how it is answered."""

import base64
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from agent_tasks import AgentTasks, Identity
from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.hooks import read_token
from agent_tasks.task.hook_token import HookToken
from tests.agents import notes
from tests.eventually import eventually
from tests.gateway import Answer, Caller

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
SECRET, OTHER = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
SECRETS = f"{OTHER},{SECRET},github=whsec_{base64.b64encode(bytes([3]) * 32).decode()}"


class Asked:
    """What was asked of somebody outside."""

    def __init__(self, client: AgentTasks, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.task: TaskHandle
        self.path = ""

    def by(
        self, agent: str, *, waits: bool = True, queue: str | None = None, tenant: str = "acme", **options: Any
    ) -> "Asked":
        """Have this agent ask, and wait for the answer."""
        before = len(notes(self.folder))
        input = {"folder": str(self.folder), **options}
        self.task = self.client.submit(agent, input, identity=Identity(subject="ana", tenant=tenant), queue=queue)
        line = eventually(lambda: notes(self.folder)[before:])[0]
        self.url = line.removeprefix("mail ")
        self.path = urlsplit(self.url).path
        if waits:
            eventually(lambda: self.status not in ("pending", "running"))
        return self

    @property
    def status(self) -> str:
        return self.task.stored().status

    @property
    def token(self) -> HookToken:
        return read_token(self.client, self.url)


def fields(page: str) -> dict[str, str]:
    """The hidden fields of a form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


def sent(caller: Caller, path: str, page: str = "", **values: str) -> Answer:
    """The page after the form was filled in and sent."""
    body = {**fields(page), **{f"answer.{name}" if name else "answer": value for name, value in values.items()}}
    return caller.ask("POST", path, data=body, headers=PAGE)


# --- those who sign -------------------------------------------------------------------------------------------


def signature(secret: str, body: bytes, id: str = "msg_1", ago: float = 0) -> dict[str, str]:
    """As `standardwebhooks` signs."""
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return {
        "webhook-id": id, "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, at, body.decode()), "Content-Type": "application/json",
    }  # fmt: skip
