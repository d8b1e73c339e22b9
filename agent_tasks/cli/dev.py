"""`agent-tasks dev`: everything on this machine, started and stopped together."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent_tasks.cli.readiness import Readiness
from agent_tasks.settings import data_dir as default_data_dir

if TYPE_CHECKING:
    from agent_tasks.embedded import EmbeddedServers, Process

_ALONE = ("--without-mingle", "--without-gossip")
"""Options that save the second in which a worker greets others: there are none."""
_BUNDLED = "agent_tasks.bundled"
_HOST, _FLOWER_PORT, _GATEWAY_PORT = "127.0.0.1", 5555, 8000
_ELSEWHERE = (
    *("AGENT_TASKS_DATABASE_URL", "AGENT_TASKS_REDIS_URL", "AGENT_TASKS_BROKER_URL", "AGENT_TASKS_APP"),
    *("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"),
)


def dev(
    agents: Annotated[
        str | None, typer.Option(metavar="MODULES", help="Agents' modules, separated by commas: acme.agents,acme.more")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=32, help="How many worker processes.")] = 1,
    flower_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Flower's port. Default: 5555, or a free one.")
    ] = None,
    gateway_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The gateway's port. Default: 8000, or a free one.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="The folder where the servers keep their data.")
    ] = None,
) -> None:
    """Start Postgres, Valkey, workers, sweeper, beat, gateway, deliverer and Flower here. Ctrl-C stops them all."""
    from agent_tasks.cli.deployment import show_warnings_in_one_line
    from agent_tasks.cli.local import embedded_servers, environment_for, settings_for
    from agent_tasks.settings import warn_of_misspelt

    show_warnings_in_one_line()
    warn_of_misspelt()
    folder = (data_dir or default_data_dir()).absolute()
    named = {"AGENT_TASKS_AGENTS": agents if agents is not None else os.environ.get("AGENT_TASKS_AGENTS", "")}
    typer.echo("Starting PostgreSQL and Valkey …")
    with _look_for_agents(named) as looking, embedded_servers(folder) as servers:
        environment = {**environment_for(servers), **named, **_without_misspelt()}
        flower = None if find_spec("flower") is None else flower_port or _free_port(_FLOWER_PORT)
        gateway = None if find_spec("fastapi") is None else gateway_port or _free_port(_GATEWAY_PORT)
        found = _found_agents(looking)
        with _announced(folder, settings_for(servers)):
            _greet(servers, flower, gateway, found)
            processes = _processes({**environment, **_public(gateway), **_flower_url(flower)}, workers, flower, gateway)
            say = partial(_say_ready, servers, found, gateway, named=bool(data_dir))
            ready = Readiness(settings_for(servers), workers, gateway, say)
            with ready:
                code = _supervise(processes, folder)
    raise typer.Exit(code)


@contextmanager
def _look_for_agents(environment: dict[str, str]) -> "Generator[subprocess.Popen[bytes]]":
    """Begin to load the agents' modules, which takes as long as the servers take to start."""
    argv = [sys.executable, "-P", "-m", "agent_tasks.cli.declared"]
    with subprocess.Popen(argv, env={**os.environ, **environment}, stdout=subprocess.PIPE) as looking:
        try:
            yield looking
        finally:
            looking.kill()  # if the servers did not start, nobody reads what it prints


def _found_agents(looking: "subprocess.Popen[bytes]") -> list[dict[str, Any]]:
    """Return the agents found. Raises Failed if a module does not load: once here, not in every process."""
    from agent_tasks.cli.problems import ExitCode, Failed, Problem

    printed, _ = looking.communicate()
    if looking.returncode:
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", "The agents' modules do not load; see above."))
    found = json.loads(printed.splitlines()[-1])  # modules may print too
    if found["failed"]:
        reasons = "; ".join(f"{module} does not load: {why}" for module, why in found["failed"].items())
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", f"{reasons}. Fix it and start again."))
    for package, why in found["left_out"].items():
        typer.echo(f"warning: {package} is left out, since it does not load: {why}", err=True)
    return found["agents"]


def _without_misspelt() -> dict[str, str]:
    """Return the misspelt settings, which were reported once, as empty variables: an empty one counts as unset."""
    from agent_tasks.settings import misspelt

    return {name: "" for name, _ in misspelt()}


def _supervise(processes: "list[Process]", folder: Path) -> int:
    from agent_tasks.cli.problems import ExitCode, Failed, Problem
    from agent_tasks.embedded import RosterBusy, Supervisor

    try:
        return Supervisor(processes, state=folder / "dev-processes.json").run()
    except RosterBusy as error:
        raise Failed(Problem(ExitCode.USAGE, "invalid_input", f"{error}: stop that first.")) from None


def _processes(environment: dict[str, str], workers: int, flower: int | None, gateway: int | None) -> "list[Process]":
    from agent_tasks.cli.local import process

    names = ["worker"] if workers == 1 else [f"worker{number}" for number in range(1, workers + 1)]
    worker = [
        process(name, "worker", "--name", f"{name}@%h", "--pool", "threads", "-E", *_ALONE, environment=environment)
        for name in names
    ]
    # at INFO each of their two ticks a second is logged in three lines
    others = [process(name, name, "--loglevel", "WARNING", environment=environment) for name in ("sweeper", "beat")]
    if gateway is not None:
        open_here = {**environment, "AGENT_TASKS_GATEWAY_AUTH": _gateway_auth()}
        others.append(process("gateway", "gateway", "--host", _HOST, "--port", str(gateway), environment=open_here))
        others.append(process("deliverer", "deliverer", environment=environment))  # of the same extra
    if flower is not None:
        address = ["--address=" + _HOST, f"--port={flower}", "--logging=error"]
        others.append(process("flower", "flower", *address, environment=environment))
    return worker + others


@contextmanager
def _announced(folder: Path, settings: dict[str, str]) -> Generator[None]:
    """Meanwhile, let this user's programs without any setting find the servers through `dev.json`."""
    path = folder / "dev.json"
    draft = folder / "dev.json.new"
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    draft.write_text(json.dumps({"pid": os.getpid(), "settings": settings}))
    with draft.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # by this others know that the process lives
        draft.replace(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _gateway_auth() -> str:
    """Off, unless the environment says otherwise: the gateway of this machine's user serves this machine only."""
    return os.environ.get("AGENT_TASKS_GATEWAY_AUTH") or "off"


def _public(gateway: int | None) -> dict[str, str]:
    """Return what links begin with: this gateway, unless the environment says otherwise."""
    name = "AGENT_TASKS_PUBLIC_URL"
    return {} if gateway is None or os.environ.get(name) else {name: f"http://{_HOST}:{gateway}"}


def _flower_url(flower: int | None) -> dict[str, str]:
    """Return where the console finds Flower, unless the environment says otherwise."""
    name = "AGENT_TASKS_FLOWER_URL"
    return {} if flower is None or os.environ.get(name) else {name: f"http://{_HOST}:{flower}"}


def _greet(servers: "EmbeddedServers", flower: int | None, gateway: int | None, agents: list[dict[str, Any]]) -> None:
    names = ", ".join(sorted(agent["name"] for agent in agents))
    typer.echo(f"  console   {_at(gateway, 'http')}{'/console' if gateway else ''}")
    typer.echo(f"  Postgres  {servers.database_url}")
    typer.echo(f"  Valkey    {servers.redis_url}")
    typer.echo(f"  gateway   {_at(gateway, 'http')}")
    typer.echo(f"  Flower    {_at(flower, 'flower')}")
    typer.echo(f"  data      {servers.data_dir}")
    named = names or "none: name their modules with --agents"
    typer.echo(fill(f"  agents    {named}", 80, subsequent_indent=" " * 12, break_on_hyphens=False))
    typer.echo(
        "Starting a worker, the sweeper, beat, the gateway, the deliverer and Flower. Ctrl-C stops everything.\n"
    )


def _at(port: int | None, extra: str) -> str:
    return f"http://{_HOST}:{port}" if port else f"not installed: pip install 'agent-tasks[{extra}]'"


def _say_ready(servers: "EmbeddedServers", agents: list[dict[str, Any]], gateway: int | None, *, named: bool) -> None:
    """Print what to do next, with an agent of the user's own if there is one."""
    setting = f"AGENT_TASKS_DATA_DIR={servers.data_dir} " if named else ""
    lines = ["", "Ready. In another terminal, with no settings but those shown here:", f"  {setting}agent-tasks doctor"]
    if agents:
        first = min(agents, key=lambda agent: (str(agent["module"]).startswith(_BUNDLED), agent["name"]))
        given = json.dumps(first["input"], ensure_ascii=False) if first["input"] else ""
        lines.append(f"  {setting}agent-tasks submit {first['name']}{f' {quote(given)}' if given else ''} --wait")
        if gateway:
            lines.append(f"  {_over_http(gateway, first)}")
    if set_here := [name for name in _ELSEWHERE if os.environ.get(name)]:
        lines.append(f"If {set_here[0]} is set there too, unset it: it would name another deployment.")
    typer.echo("\n".join([*lines, ""]))


def _over_http(port: int, agent: dict[str, Any]) -> str:
    """The curl line that submits a task of `agent`."""
    body = {"agent": agent["name"], **({"input": agent["input"]} if agent["input"] else {})}
    token = "" if _gateway_auth() == "off" else ' -H "Authorization: Bearer $KEY"'
    sent = quote(json.dumps(body, ensure_ascii=False))
    return f"curl http://{_HOST}:{port}/tasks{token} -H 'Content-Type: application/json' -d {sent}"


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free")
