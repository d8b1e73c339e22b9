"""`agent-tasks dev`: everything on this machine, started and stopped together."""

import fcntl
import json
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent_tasks.settings import data_dir as default_data_dir

if TYPE_CHECKING:
    from agent_tasks.embedded import EmbeddedServers, Process

_HOST, _FLOWER_PORT = "127.0.0.1", 5555
_ELSEWHERE = ("AGENT_TASKS_DATABASE_URL", "AGENT_TASKS_REDIS_URL", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")


def dev(
    agents: Annotated[str | None, typer.Option(metavar="MODULES", help="With commas: acme.agents,acme.more")] = None,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Worker processes.")] = 1,
    flower_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: 5555, or a free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(file_okay=False, help="Where the servers keep their data.")] = None,
) -> None:
    """Start Postgres, Valkey, workers, sweeper, beat and Flower here; Ctrl-C stops them all."""
    from agent_tasks.cli.local import embedded_servers, environment_for, settings_for

    folder = (data_dir or default_data_dir()).absolute()
    typer.echo("Starting PostgreSQL and Valkey …")
    with embedded_servers(folder) as servers:
        environment = environment_for(servers)
        if agents is not None:
            environment["AGENT_TASKS_AGENTS"] = agents
        port = None if find_spec("flower") is None else flower_port or _free_port()
        with _announced(folder, settings_for(servers)):
            _greet(servers, port, named=data_dir is not None)
            code = _supervise(_processes(environment, workers, port), folder)
    raise typer.Exit(code)


def _supervise(processes: "list[Process]", folder: Path) -> int:
    from agent_tasks.cli.problems import ExitCode, Failed, Problem
    from agent_tasks.embedded import RosterBusy, Supervisor

    try:
        return Supervisor(processes, state=folder / "dev-processes.json").run()
    except RosterBusy as error:
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", f"{error}: stop that first.")) from None


def _processes(environment: dict[str, str], workers: int, port: int | None) -> "list[Process]":
    from agent_tasks.cli.local import process

    names = ["worker"] if workers == 1 else [f"worker{number}" for number in range(1, workers + 1)]
    worker = [
        process(name, "worker", "--name", f"{name}@%h", "--pool", "threads", "-E", environment=environment)
        for name in names
    ]
    # at INFO each of their two ticks a second is told in three lines
    others = [process(name, name, "--loglevel", "WARNING", environment=environment) for name in ("sweeper", "beat")]
    if port is not None:
        address = ["--address=" + _HOST, f"--port={port}"]
        others.append(process("flower", "flower", *address, environment=environment))
    return worker + others


@contextmanager
def _announced(folder: Path, settings: dict[str, str]) -> Generator[None]:
    """While this lasts, programs of this user without any setting find the servers by `dev.json`."""
    path = folder / "dev.json"
    draft = folder / "dev.json.new"
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    draft.write_text(json.dumps({"pid": os.getpid(), "settings": settings}))
    with draft.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # how others know that this process lives
        draft.replace(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _greet(servers: "EmbeddedServers", port: int | None, *, named: bool) -> None:
    flower = f"http://{_HOST}:{port}" if port else "not installed: pip install 'agent-tasks[flower]'"
    typer.echo(f"  Postgres  {servers.database_url}")
    typer.echo(f"  Valkey    {servers.redis_url}")
    typer.echo(f"  Flower    {flower}")
    typer.echo(f"  data      {servers.data_dir}")
    setting = f"AGENT_TASKS_DATA_DIR={servers.data_dir} " if named else ""
    typer.echo("In another terminal, with no setting but what stands here:")
    typer.echo(f"  {setting}agent-tasks doctor")
    example = json.dumps({"paths": ["."], "question": "What is this about, and how do I run it?"})
    typer.echo(f"  {setting}agent-tasks submit research '{example}' --wait")
    if set_here := [name for name in _ELSEWHERE if os.environ.get(name)]:
        typer.echo(f"There it would use {set_here[0]} if that is set as here; unset it to use these servers.")
    typer.echo("Ctrl-C stops everything.\n")


def _free_port() -> int:
    for port in (_FLOWER_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free")
