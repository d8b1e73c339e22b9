"""The checks of doctor: each is one line that says what was found and, if it is wrong, what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import redis
import typer

from agent_tasks.authoring.agent import loaded_agents
from agent_tasks.authoring.loading import load_agents, why_not_loaded
from agent_tasks.authoring.peers.own import OWN
from agent_tasks.authoring.permissions import Declared
from agent_tasks.doorbell import publisher
from agent_tasks.doorbell.bells import Bells
from agent_tasks.doorbell.broker import broker_url, open_bells
from agent_tasks.doorbell.hearing import TO_DO
from agent_tasks.doorbell.line import Line
from agent_tasks.doorbell.raw_bells import shared_line
from agent_tasks.doorbell.redis_url import remedy
from agent_tasks.errors import InvalidInput, InvalidState
from agent_tasks.settings import Settings
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import catalog, doors, read
from agent_tasks.store.queries.readiness import obstacle, short_limits
from agent_tasks.store.route import connect
from agent_tasks.task.signing import fingerprints, keys_of
from agent_tasks.task.unserved import Unserved
from agent_tasks.transitions.abandon import WATCH
from agent_tasks.transitions.watch import DELIVERER

SWEEP_SECONDS = 60.0
DELIVERER_SECONDS = 60.0
_POSTGRES, _REDIS = 150000, (6, 2)
_SAME_KEYS = "give all of them the same AGENT_TASKS_SECRET_KEY, or, while rotating, each other's keys too"
_START_SWEEPS = "start agent-tasks sweeper and agent-tasks beat; the first sweep comes within 30 s"
_START_DELIVERER = "start one: agent-tasks deliverer"


@dataclass(frozen=True)
class Finding:
    name: str
    ok: bool
    text: str
    action: str = ""

    @property
    def line(self) -> str:
        mark = typer.style("ok   ", fg="green") if self.ok else typer.style("wrong", fg="red", bold=True)
        return f"{mark} {self.name:<10} {self.text}" + (f": {self.action}" if self.action else "")


def all_checks() -> list[Finding]:
    """Yield all findings in order; without settings or Postgres, those that need them are left out."""
    settings = _settings()
    if isinstance(settings, Finding):
        return [settings]
    findings = [_secret(settings), _redis(settings), _broker(settings), *_agents(settings)]
    try:
        with _connected(settings) as connection:
            findings[1:1] = [_postgres(connection), _migrated(connection, settings)]
            if findings[2].ok:
                findings += [
                    *_limits(connection),
                    *_workers(connection, settings),
                    *_places(connection, settings),
                    *_unserved(connection, settings),
                    *_keys(connection, settings),
                    _sweeps(connection),
                    _webhooks(connection),
                ]
    except psycopg.OperationalError as error:
        findings.insert(1, _postgres_away(error))
    return findings


def sweeps_check() -> Finding:
    """Return only whether the sweeps run."""
    return _alone("sweeps", _sweeps)


def deliverer_check() -> Finding:
    """Return only whether a deliverer runs."""
    return _alone("webhooks", _deliverer)


def _alone(name: str, check: Callable[[Connection], Finding]) -> Finding:
    settings = _settings()
    if isinstance(settings, Finding):
        return settings
    try:
        with _connected(settings) as connection:
            return check(connection)
    except psycopg.errors.UndefinedTable:
        return Finding(name, False, "the database has no tables", "run agent-tasks migrate")
    except psycopg.errors.InsufficientPrivilege as error:
        return Finding(name, False, str(error.diag.message_primary), "agent-tasks doctor says what is missing")
    except psycopg.OperationalError as error:
        return _postgres_away(error)


def _settings() -> Settings | Finding:
    try:
        return Settings.load()
    except InvalidInput as error:
        return Finding("settings", False, error.message)


def _connected(settings: Settings) -> "psycopg.Connection[Any]":
    return connect(settings.database_url)


def _secret(settings: Settings) -> Finding:
    if keys := keys_of(settings.secret_key):
        more = f", {len(keys) - 1} more verify them" if len(keys) > 1 else ""
        return Finding("secret", True, f"AGENT_TASKS_SECRET_KEY signs the envelopes{more}")
    return Finding("secret", True, "default: the deployment's own key, kept in Postgres, signs the envelopes")


def _postgres(connection: "psycopg.Connection[Any]") -> Finding:
    number = connection.info.server_version
    found = f"PostgreSQL {number // 10000}.{number % 10000}"
    if number < _POSTGRES:
        return Finding("postgres", False, f"{found} is too old", "15 or later is supported")
    return Finding("postgres", True, found)


def _postgres_away(error: Exception) -> Finding:
    reason = " ".join(str(error).split())
    return Finding("postgres", False, f"cannot be reached: {reason}", "start it, or set AGENT_TASKS_DATABASE_URL")


def _migrated(connection: Connection, settings: Settings) -> Finding:
    from agent_tasks.store.migrations import check_known, current, head

    newest = head()
    found = obstacle(connection, newest)
    if found is not None and not found.is_behind:
        return Finding("migrations", False, found.found, found.to_do)
    revision = current(settings.database_url)
    try:
        check_known(revision)
    except InvalidState as error:
        return Finding("migrations", False, error.message)
    if revision == newest:
        return Finding("migrations", True, f"up to date, at {revision}")
    return Finding("migrations", False, f"at {revision or 'none'}, not {newest}", "run agent-tasks migrate")


def _limits(connection: Connection) -> Iterator[Finding]:
    """Yield the time-outs of Postgres that end ordinary work."""
    for found in short_limits(connection):
        yield Finding("postgres", False, found.found, found.to_do)


def _redis(settings: Settings) -> Finding:
    client = publisher.connect(settings) if settings.redis_url else _shared_client(settings)
    if client is None:
        return Finding("redis", True, "none: status is read from Postgres, which sends notices of changes")
    try:
        about: Any = client.info()
    except redis.RedisError as error:
        to_do = remedy(error) or "start it, or set AGENT_TASKS_REDIS_URL"
        return Finding("redis", False, f"cannot be reached: {error}", to_do)
    finally:
        client.close()
    version = str(about.get("valkey_version") or about["redis_version"])
    found = f"{'Valkey' if 'valkey_version' in about else 'Redis'} {version}"
    if tuple(int(part) for part in str(about["redis_version"]).split(".")[:2]) < _REDIS:
        return Finding("redis", False, f"{found} is too old", "6.2 or later is supported")
    policy = about.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return Finding("redis", False, f"{found} evicts: maxmemory-policy is {policy}", "set it to noeviction")
    whose = "" if settings.redis_url else ", that of the broker: AGENT_TASKS_REDIS_URL is not set"
    return Finding("redis", True, f"{found}, noeviction{whose}")


def _shared_client(settings: Settings) -> "redis.Redis | None":
    """The Redis of the broker, where status is mirrored in it, too."""
    try:
        line = shared_line(open_bells(settings, lambda: b"", None))
    except InvalidInput:  # the finding of the broker says so
        return None
    return None if line is None else line.client


def _broker(settings: Settings) -> Finding:
    """Return by which way bells reach which broker, and whether it answers."""
    try:
        where = broker_url(settings)
        bells = _bells(settings)
    except InvalidInput as error:
        return Finding("broker", False, error.message)
    way = "as raw lists, since" if bells.path == "redis" else "by the app's producer, since"
    found = f"{where}, {way} {bells.why}"
    try:
        problem = bells.problem()
    finally:
        bells.close()
    if problem is not None:
        return Finding("broker", False, f"{found}. It cannot be used: {problem}", "start it, or name another one")
    return Finding("broker", True, found)


def _bells(settings: Settings) -> Bells:
    return open_bells(settings, lambda: b"", Line(publisher.connect(settings)) if settings.redis_url else None)


def _agents(settings: Settings) -> Iterator[Finding]:
    failed = load_agents(settings.agents, settings.bundled)
    for name, agent in sorted(loaded_agents().items()):
        steps = len(agent.steps)
        yield _agent(name, f"{agent.module}, {steps} step{'' if steps == 1 else 's'}", agent.says)
    for module, error in failed.items():
        reason = " ".join(why_not_loaded(module, error).split())
        yield Finding(
            "agent", False, f"{module} does not load: {reason}", "fix it, or remove it from AGENT_TASKS_AGENTS"
        )


def _agent(name: str, where: str, says: Declared) -> Finding:
    from agent_tasks.cli.text import declarations

    declared = [f"{what} {text}" for what, text in declarations(says).items()]
    return Finding("agent", True, "; ".join([f"{name} ({where})", *declared]))


def _workers(connection: Connection, settings: Settings) -> Iterator[Finding]:
    rows = read.workers(connection, seconds=settings.lease_seconds)
    agents = {step.partition(".")[0] for row in rows for step in row["steps"]}
    for name in sorted(agents - loaded_agents().keys() - OWN.keys()):
        yield _agent(name, "not loaded here", Declared.registered(catalog.registered_agent(connection, name) or {}))
    if not rows:
        yield Finding("workers", False, "none is alive", "start one: agent-tasks worker")
    for row in rows:
        agents = sorted({step.partition(".")[0] for step in row["steps"]})
        steps = f"{len(row['steps'])} steps of {', '.join(agents)}" if agents else "no steps"
        yield Finding("worker", True, f"{row['id']}, queues {','.join(row['queues'])}, {steps}")


def _places(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Yield the workers that take bells elsewhere than this program rings, however they reach that broker."""
    try:
        bells = _bells(settings)
    except InvalidInput:  # as the check of the broker says
        return
    bells.close()
    workers = read.workers(connection, seconds=settings.lease_seconds)  # those before 0024 do not say
    for row in [row for row in workers if row["bells"] not in (None, bells.place)][:5]:
        found = f"{row['id']} takes bells from {row['bells']}, and this program rings at {bells.place}"
        yield Finding("broker", False, found, TO_DO)


def _unserved(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each step that pending or waiting tasks go on with, and no living worker serves."""
    ahead = {(row["agent"], row["step"], row["queue"]): row for row in read.steps_ahead(connection)}
    for row in read.serving(connection, ahead.keys(), lease_seconds=settings.lease_seconds):
        found = Unserved.of(row)
        if found is not None:
            there = ahead[row["agent"], row["step"], row["queue"]]
            counts = [f"{there[what]:,} {what}" for what in ("pending", "waiting") if there[what]]
            tasks = f"{' and '.join(counts)} task{'' if there['pending'] + there['waiting'] == 1 else 's'}"
            step = f"{row['agent']}.{row['step']}"
            yield Finding("tasks", False, f"{tasks} of {step} on queue {row['queue']}: {found.message}", found.action)


def _keys(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Yield whether the workers verify what this program, each of them and the sweeper sign."""
    kept = catalog.kept_key(connection)
    own = keys_of(settings.secret_key) or ((kept,) if kept else ())
    workers = {row["id"]: row["keys"] for row in read.workers(connection, seconds=settings.lease_seconds)}
    workers = {name: keys for name, keys in workers.items() if keys}  # those of 0.1.0 report none
    signers = {"this program": fingerprints(own), **workers, "the sweeper": catalog.watch_keys(connection, WATCH)}
    strange = [
        (signer, worker)
        for signer, keys in signers.items()
        for worker, known in workers.items()
        if keys and keys[0] not in known
    ]
    for signer, worker in strange[:5]:
        yield Finding("secret", False, f"{worker} refuses what {signer} signs", _SAME_KEYS)
    if workers and not strange:
        signing = {keys[0] for keys in signers.values() if keys}
        how = "all sign with one key" if len(signing) == 1 else f"{len(signing)} keys sign, and every worker has them"
        yield Finding("secret", True, how)


def _sweeps(connection: Connection) -> Finding:
    seconds = read.seconds_since_sweep(connection, WATCH)
    if seconds is None:
        return Finding("sweeps", False, "have never run", _START_SWEEPS)
    if seconds > SWEEP_SECONDS:
        return Finding("sweeps", False, f"last ran {seconds:.0f} s ago", _START_SWEEPS)
    return Finding("sweeps", True, f"last ran {seconds:.0f} s ago")


def _webhooks(connection: Connection) -> Finding:
    """Find it well that no deliverer runs where none is needed."""
    found = _deliverer(connection)
    if found.ok or doors.has_pending_deliveries(connection):
        return found
    return Finding("webhooks", True, "no deliverer runs, and nothing waits for one")


def _deliverer(connection: Connection) -> Finding:
    seconds = read.seconds_since_sweep(connection, DELIVERER)
    if seconds is None:
        return Finding("webhooks", False, "no deliverer has ever run", _START_DELIVERER)
    if seconds > DELIVERER_SECONDS:
        return Finding("webhooks", False, f"a deliverer last looked {seconds:.0f} s ago", _START_DELIVERER)
    return Finding("webhooks", True, f"a deliverer last looked {seconds:.0f} s ago")
