import os
import signal
from pathlib import Path

from .app import app


@app.task(name="unusual.add")
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="unusual.where", bind=True)
def where(self) -> list[object]:
    return [self.request.delivery_info["routing_key"], self.request.delivery_info["priority"]]


@app.task(name="unusual.where_else", bind=True)
def where_else(self) -> list[object]:
    return [self.request.delivery_info["routing_key"], self.request.delivery_info["priority"]]


@app.task(name="unusual.limits", bind=True)
def limits(self) -> list[object]:
    return [self.rate_limit, list(self.request.timelimit), self.acks_late, self.reject_on_worker_lost]


@app.task(name="unusual.dies_once")
def dies_once(name: str) -> str:
    path = Path(os.environ["TEAM_FOLDER"]) / name
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


@app.task(name="unusual.stumbles", bind=True)
def stumbles(self) -> int:
    if not self.request.retries:
        raise ConnectionError("at first")
    return self.request.retries
