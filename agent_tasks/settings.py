"""Every knob of the system, read once from the environment."""

import fcntl
import ipaddress
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import psycopg
from pydantic import AliasChoices, Field, ValidationError
from pydantic.functional_serializers import PlainSerializer
from pydantic.functional_validators import AfterValidator, BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agent_tasks.doorbell.installed import installed
from agent_tasks.doorbell.redis_url import RedisUrl, is_redis
from agent_tasks.errors import InvalidInput
from agent_tasks.store.route import Route
from agent_tasks.task.arguments import LARGEST_NUMBER, LONGEST_WAIT
from agent_tasks.task.hook_secrets import hook_secrets
from agent_tasks.task.identity import Identity
from agent_tasks.task.rate import Rate
from agent_tasks.task.scopes import Scope
from agent_tasks.task.secret_text import SecretText, SecretUrl

log = logging.getLogger(__name__)


def _names(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Secret = Annotated[
    str, AfterValidator(SecretText), PlainSerializer(lambda text: SecretText(text).masked, when_used="json")
]


def _postgres(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://", "postgresql+")):
        raise ValueError("it must be the URL of a Postgres: postgresql://user:password@host:5432/database")
    try:
        Route(url)
    except psycopg.Error as error:
        reason = str(error).partition('"')[0].strip(" :\n")  # what is quoted may be the password
        raise ValueError(f"it cannot be read: {reason}") from None
    return url


def _redis(url: str) -> str:
    is_fallback = _is_celerys(url, "AGENT_TASKS_REDIS_URL", "REDIS_URL")
    if is_fallback and "://" in url and (not is_redis(url) or _is_beyond_us(url)):
        return ""  # it is of a broker that keeps no status, or that an app reaches by options of its own
    RedisUrl(url)
    return url


def _is_celerys(url: str, *variables: str) -> bool:
    """Whether a URL is Celery's own, read for want of one in these variables."""
    return url == os.environ.get("CELERY_BROKER_URL") and not any(map(os.environ.get, variables))


def _is_beyond_us(url: str) -> bool:
    """Whether a URL is no Redis's that we can reach by it alone. Says so, unless an app that can is named."""
    try:
        RedisUrl(url)
    except ValueError as error:
        if not (installed() or os.environ.get("AGENT_TASKS_APP") or url in _warned):
            _warned.add(url)
            log.warning(
                "CELERY_BROKER_URL is not used: %s. Name your app by AGENT_TASKS_APP, or its broker by "
                "AGENT_TASKS_BROKER_URL",
                error,
            )
        return True
    return False


def _broker(url: str) -> str:
    if is_redis(url) and _is_celerys(url, "AGENT_TASKS_BROKER_URL") and _is_beyond_us(url):
        return ""
    if is_redis(url):
        RedisUrl(url)
    elif not url.partition("://")[0].isascii() or "://" not in url:
        raise ValueError("it must be the URL of a broker, as Celery takes it: amqp://user:password@host:5672/vhost")
    return url


_MASKED = PlainSerializer(lambda url: SecretUrl(url).masked, when_used="json")
PostgresUrl = Annotated[str, AfterValidator(lambda url: SecretUrl(url and _postgres(url))), _MASKED]
BrokerServer = Annotated[str, AfterValidator(lambda url: SecretUrl(url and _broker(url))), _MASKED]
RedisServer = Annotated[str, AfterValidator(lambda url: SecretUrl(url and _redis(url))), _MASKED]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_WAIT, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it must have printable characters only")
    return text


def _rate(text: str) -> str:
    return "" if text in ("", "none") else str(Rate.parse(text))


Text = Annotated[str, AfterValidator(_printable)]
SIGNING = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Algorithms whose keys an issuer can publish: what verifies cannot sign."""


def _signing(names: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [name for name in names if name not in SIGNING]:
        raise ValueError(f"it may only have asymmetric algorithms ({', '.join(SIGNING)}), not {', '.join(wrong)}")
    return names


def _http(url: str) -> str:
    if url and not (url.startswith(("https://", "http://")) and url.isprintable() and " " not in url):
        raise ValueError("it must be a URL that begins with https:// or http://")
    return url


WebUrl = Annotated[str, AfterValidator(_http)]


def _names_trace(url: str) -> str:
    if url and "{trace_id}" not in url:
        raise ValueError("it must have {trace_id} in the place of the trace's id: https://jaeger/trace/{trace_id}")
    return url


def _begins_links(url: str) -> str:
    if not url or "?" in url or "#" in url:
        raise ValueError("it must be what links begin with: https://host, or https://host/prefix")
    return url.rstrip("/")


def _targets(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        try:
            ipaddress.ip_network(name, strict=False)
        except ValueError:
            if not name.isprintable() or any(character in name for character in "/:@ "):
                raise ValueError(f"each must be a host, an address or a network, and {name} is none of them") from None
    return names


def _identity(text: str) -> str:
    try:
        identity = Identity.parse(text)
    except ValueError as error:
        why = "; ".join(each["msg"] for each in error.errors()) if isinstance(error, ValidationError) else str(error)
        raise ValueError(f"it must be tenant/subject, a subject, or the JSON of an identity: {why}") from None
    if Scope.ADMIN in identity.scopes:
        raise ValueError("it must not have the scope admin, with which sessions would reach every tenant")
    return text


def _hook_secrets(text: str) -> str:
    hook_secrets(text)
    return text


class Settings(BaseSettings):
    """Settings of one deployment; each field is read from `AGENT_TASKS_<NAME>` in capitals.

    Times are in seconds, sizes in bytes. Secrets and passwords are in the fields, and in no `repr`, JSON or error.
    """

    model_config = SettingsConfigDict(
        env_prefix="AGENT_TASKS_",
        extra="ignore",
        populate_by_name=True,
        frozen=True,
        env_ignore_empty=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    database_url: PostgresUrl = Field(
        default="", validation_alias=AliasChoices("AGENT_TASKS_DATABASE_URL", "DATABASE_URL", "database_url")
    )
    """The URL of the Postgres; DATABASE_URL is read where it is not set."""
    redis_url: RedisServer = Field(
        default="",
        validation_alias=AliasChoices("AGENT_TASKS_REDIS_URL", "REDIS_URL", "CELERY_BROKER_URL", "redis_url"),
    )
    """The URL of the Redis; REDIS_URL, or CELERY_BROKER_URL if that is a Redis, is read where it is not set."""
    broker_url: BrokerServer = Field(
        default="", validation_alias=AliasChoices("AGENT_TASKS_BROKER_URL", "CELERY_BROKER_URL", "broker_url")
    )
    """The URL of the broker, as Celery takes it; CELERY_BROKER_URL is read where it is not set. Empty: the Redis of
    `redis_url`."""
    app: Text = ""
    """The Celery app that `agent_tasks.celery.install` was called on, as `celery -A` takes it: our own processes load
    it, and use its broker with its options. Empty: they have none but `broker_url`."""
    agents: Names = ()
    """Modules whose agents are loaded, besides those of the entry-point group `agent_tasks.agents`."""
    bundled: Names = ()
    """The bundled agents that are loaded: `orchestrator`, `planner`, `research`."""
    bundled_root: Text = ""
    """The folder below which the bundled agents read and write; several with `:`. Empty: one of their own."""
    secret_key: Secret = ""
    """Keys with commas, newest first: the first signs, each of them verifies. Without one a key is used that the first
    process made and keeps in Postgres."""
    queue: Annotated[Text, Field(min_length=1, max_length=200)] = "agents"
    """The queue of tasks whose submit and agent name none."""
    lease_seconds: Seconds = 15.0
    """How long a worker may be silent before it has lost its steps."""
    ttl_seconds: Seconds = 900.0
    """How long a task may be without progress and without a live owner before it is an orphan."""
    ring_seconds: Seconds = 10.0
    """How long until a pending task that nobody claimed is rung again; the wait doubles each time, to 300."""
    quantum_seconds: float = Field(default=0.1, ge=0, le=LONGEST_WAIT, allow_inf_nan=False)
    """How long a worker goes on with a task's next steps itself before it hands over through the broker; 0: never."""
    drain_seconds: Seconds = 25.0
    """How long SIGTERM lets running steps finish before their leases are released."""
    async_steps: Count = 1000
    """How many async steps one worker process holds at once."""
    call_threads: Count = 500
    """How many plain calls of async steps one worker process makes at once, each in a thread."""
    overrun_seconds: Seconds = 10.0
    """How long past its deadline a plain step may go on before its slot is given up for lost, and how long an async
    step may block the event loop before it is failed and the loop replaced."""
    undo_seconds: Seconds = 300.0
    """How long one undo function may take; one that takes longer is given up as not undone."""
    max_children: Count = 10_000
    """How many children one FanOut may spawn."""
    fan_out_limit: int = Field(default=256 * 1024 * 1024, ge=1024, le=LARGEST_NUMBER)
    """The limit for the inputs and metadata of all children of one FanOut together, in bytes of JSON."""
    max_depth: Count = 16
    """How deep a tree of tasks may be."""
    poison_crashes: Count = 3
    """How often in a row a step that is alone in its process may see it die before it ends as `poison`."""
    quarantine_processes: Count = 4
    """How many processes one worker may start for suspect steps, besides one for a step that is alone."""
    payload_limit: int = Field(default=1024 * 1024, ge=1024, le=LARGEST_NUMBER)
    """The limit for input, state, result and each call outcome, in bytes of JSON."""
    idempotency_seconds: Seconds = 86_400.0
    """How long an idempotency key is kept."""
    retention_seconds: Seconds = 7 * 86_400.0
    """How long finished tasks are kept; acknowledged ones go after a tenth of it."""
    keep_unacknowledged: bool = False
    """Finished tasks that nobody has acknowledged are kept for ever."""
    audit_seconds: Seconds = 90 * 86_400.0
    """How long the audit keeps who wrote what."""
    sweep_seconds: Seconds = 0.5
    """The interval of the fast sweeps (leases, bells, timers)."""
    pool_size: int = Field(default=8, ge=2, le=LARGEST_NUMBER)
    """Postgres connections of one process, at most."""
    prepared_statements: Literal["auto", "on", "off"] = "auto"
    """Whether Postgres keeps statements prepared. auto: unless a pooler stands between, which may not know of them."""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """The port on which a worker serves Prometheus metrics; 0: none."""
    metrics_host: Text = "127.0.0.1"
    """The address on which they are served: by default to this machine only."""
    log_format: Literal["text", "json"] = "text"
    """How our own processes write their log: json for one object a line."""
    keep_logs: int = Field(default=0, ge=0, le=100_000)
    """How many log records of its steps are kept with each task, the newest; 0: none."""
    traces: bool = True
    """Whether spans are written where OpenTelemetry is set up."""
    gateway_auth: Literal["on", "off"] = "on"
    """Whether requests to the gateway need a token; off: everybody acts as a trusted program."""
    oidc_issuer: WebUrl = ""
    """Whose tokens the gateway takes beside API keys; empty: nobody's."""
    oidc_audience: Text = ""
    """What the issuer's tokens must be for."""
    oidc_jwks_url: WebUrl = ""
    """Where the issuer's keys are; empty: as its discovery document says."""
    oidc_algorithms: Annotated[Names, Field(min_length=1), AfterValidator(_signing)] = ("RS256", "ES256")
    """What the issuer's tokens may be signed with."""
    oidc_subject_claim: Annotated[Text, Field(min_length=1)] = "sub"
    """The claim that names whom a token stands for."""
    oidc_tenant_claim: Text = ""
    """The claim that names their tenant; empty: no tenant."""
    oidc_scopes_claim: Annotated[Text, Field(min_length=1)] = "scope"
    """The claim that lists their scopes, as text with spaces or as a list."""
    gateway_rate: Annotated[str, AfterValidator(_rate)] = "1000/second"
    """Requests over HTTP of one tenant, at most; `none`: any number."""
    gateway_open_tasks: int = Field(default=10_000, ge=0, le=LARGEST_NUMBER)
    """Tasks of one tenant that have not ended, at most, for a submit over HTTP to be accepted; 0: any number."""
    gateway_followed_tasks: int = Field(default=5_000, ge=0, le=LARGEST_NUMBER)
    """Tasks that one tenant may have one gateway follow at a time, by streams and calls that wait; 0: any number."""
    gateway_body_limit: int = Field(default=2 * 1024 * 1024, ge=1024, le=LARGEST_NUMBER)
    """For the body of a request over HTTP, in bytes."""
    gateway_body_seconds: Seconds = 30.0
    """How long the head of a request over HTTP, and then its body, may take to come in."""
    gateway_keep_alive_seconds: Seconds = 15.0
    """Silence for so long on a stream of events is broken by a comment. So often its token is looked at again, too."""
    public_url: Annotated[WebUrl, AfterValidator(_begins_links)] = "http://127.0.0.1:8000"
    """What the links in webhooks and the URLs of hooks begin with: where the gateway is reached from outside."""
    flower_url: WebUrl = ""
    """Where Flower is reached, for the console's link to it; empty: there is no link."""
    trace_url: Annotated[WebUrl, AfterValidator(_names_trace)] = ""
    """Where a trace is shown, with `{trace_id}` for its id, for the console's link to it; empty: there is no link."""
    webhook_allow: Annotated[Names, AfterValidator(_targets)] = ()
    """Hosts, addresses and networks that webhooks may be sent to although they are not public, for development."""
    webhook_seconds: float = Field(default=15.0, gt=0, le=30, allow_inf_nan=False)
    """How long the receiver of a webhook may take to answer."""
    webhook_retry_scale: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    """The part of their usual length that the pauses between the attempts of a delivery have: less than 1 for tests."""
    delivery_seconds: Seconds = 7 * 86_400.0
    """How long the deliveries of webhooks are kept once they are over, and the events that they tell of."""
    agentcore_agent: Text = ""
    """The agent that the gateway serves as an AgentCore runtime, at /ping and /invocations; empty: none."""
    agentcore_mode: Literal["answer", "acknowledge"] = "answer"
    """Whether an invocation waits for its result, or is acknowledged at once and its result fetched by another."""
    agentcore_identity: Annotated[Text, AfterValidator(_identity)] = "agentcore"
    """Whom invocations act as: `tenant/subject`, a subject alone, or the JSON of an identity."""
    agentcore_idle_seconds: Seconds = 900.0
    """How long a session whose tasks only wait is busy."""
    agentcore_life_seconds: Seconds = 28_800.0
    """How long a session lives, and is busy at most."""
    a2a_name: Text = "agent-tasks"
    """What the A2A card calls the gateway."""
    a2a_description: Text = "Agents whose tasks survive the loss of any process."
    """What the A2A card says of the gateway."""
    mcp_hosts: Names = ()
    """The names, with their ports, under which `/mcp` is asked; `name:*` for any port. Empty: any name."""
    mcp_origins: Names = ()
    """The sites whose pages may ask `/mcp` from a browser, besides that of `public_url`: `https://host`, or
    `https://host:*` for any port."""
    mcp_key: Secret = ""
    """The API key that `agent-tasks mcp --stdio` acts with; empty: it acts as a trusted program."""
    hook_secrets: Annotated[Secret, AfterValidator(_hook_secrets)] = ""
    """What outside systems sign with that send to hooks (`verify="standard-webhooks"`): `whsec_…`, with commas; or
    `name=whsec_…`. Several without a name, or of one name, all verify."""
    model: Text = ""
    """`provider:name` of the model that the bundled agents write with; empty: they work extractively."""

    def __repr_args__(self) -> "Iterator[tuple[str | None, Any]]":
        kinds = {
            "secret_key": SecretText,
            "hook_secrets": SecretText,
            "mcp_key": SecretText,
            "database_url": SecretUrl,
            "redis_url": SecretUrl,
            "broker_url": SecretUrl,
        }
        for name, value in super().__repr_args__():
            yield name, kinds[name](value) if name in kinds else value  # model_copy() takes plain texts, too

    @classmethod
    def load(cls, **values: Any) -> "Settings":
        """Read the settings from `values`, the framework that this process runs in, the environment, and a running
        `agent-tasks dev`, in this order.

        Raises InvalidInput that names the wrong setting, or says that no servers are set.
        """
        warn_of_misspelt()
        values = {**_of_framework(), **values}
        try:
            settings = cls(**values)
        except ValidationError as error:
            wrong = [(_variable(e["loc"]), e["msg"].removeprefix("Value error, ")) for e in error.errors()]
            lines = "; ".join(f"{name}: {problem}" for name, problem in wrong)
            raise InvalidInput(f"Wrong settings: {lines}", field=wrong[0][0]) from None
        has_broker = bool(settings.redis_url or settings.broker_url or settings.app or installed())
        if settings.database_url and has_broker:
            return settings
        if not (settings.database_url or settings.redis_url) and (dev := dev_environment()):
            combined: dict[str, Any] = {**dev, **values}
            return cls(**combined)
        missing = "AGENT_TASKS_DATABASE_URL" if not settings.database_url else "AGENT_TASKS_REDIS_URL"
        ways = " (without a Redis: AGENT_TASKS_BROKER_URL; for a Celery app of yours: AGENT_TASKS_APP)"
        or_broker = ways if settings.database_url else ""
        raise InvalidInput(
            f"{missing} is not set. Set it{or_broker}, or start everything on this machine with `agent-tasks dev`.",
            field=missing,
        )


_of_framework: Callable[[], Mapping[str, Any]] = dict


def read_also(settings: Callable[[], Mapping[str, Any]]) -> None:
    """Have `Settings.load` ask `settings`, each time, for what the project of a framework says of them."""
    global _of_framework
    _of_framework = settings


def data_dir() -> Path:
    """The folder in which the embedded servers of this user keep their data."""
    if named := os.environ.get("AGENT_TASKS_DATA_DIR"):
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "agent-tasks"


_EVERYWHERE = ("AGENT_TASKS_DATA_DIR",)
"""Variables that are read from the environment, and are no settings of a deployment."""
_TESTS = "AGENT_TASKS_TEST_"
_warned: set[str] = set()


def misspelt() -> list[tuple[str, str]]:
    """The variables of the environment that look like settings and are none, each with the nearest name there is."""
    known = [*(_variable((name,)) for name in Settings.model_fields), *_EVERYWHERE]
    given = [name for name in os.environ if name.upper().startswith("AGENT_TASKS_") and not name.startswith(_TESTS)]
    given = [name for name in given if os.environ[name]]
    unknown = [name for name in given if name.upper() not in known]
    return [(name, next(iter(get_close_matches(name.upper(), known, 1, 0.8)), "")) for name in sorted(unknown)]


def warn_of_misspelt() -> None:
    """Log a warning for each misspelt setting, once in this process."""
    for name, nearest in misspelt():
        if name not in _warned:
            _warned.add(name)
            log.warning("%s is not a setting and is ignored%s", name, f"; did you mean {nearest}?" if nearest else "")


def _variable(location: tuple[int | str, ...]) -> str:
    """The environment variable behind a field of Settings: of several, the one that was read."""
    name = str(location[0])
    for field in Settings.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices) and name in field.validation_alias.choices:
            return next((str(n) for n in field.validation_alias.choices if os.environ.get(str(n))), name)
    return name if name.isupper() else f"AGENT_TASKS_{name.upper()}"


def dev_environment() -> dict[str, str] | None:
    """The settings under which a living `agent-tasks dev` runs, from the file it keeps; None if none does.

    `dev` holds a lock on that file for as long as it lives.
    """
    try:
        with (data_dir() / "dev.json").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return {str(k): str(v) for k, v in dict(json.load(file)["settings"]).items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None
