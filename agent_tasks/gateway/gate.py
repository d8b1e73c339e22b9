"""Gate: what the stages of a gateway's requests share."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from prometheus_client import CollectorRegistry

from agent_tasks.backlog import Backlog
from agent_tasks.client import keys, sign_in
from agent_tasks.client.client import AgentTasks
from agent_tasks.gateway.accepting import Accepting
from agent_tasks.gateway.followed import FollowedTasks
from agent_tasks.gateway.issuer import Issuer
from agent_tasks.gateway.known_agents import KnownAgents
from agent_tasks.gateway.known_keys import KnownKeys
from agent_tasks.gateway.local_rate import LocalRateLimit
from agent_tasks.gateway.open_tasks import OpenTasks
from agent_tasks.gateway.rate import RateLimit
from agent_tasks.store.queries import doors
from agent_tasks.task.rate import Rate

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 16


class Gate:
    """A deployment as a gateway serves it. What it keeps can be lost: keys of the issuer, connections."""

    def __init__(self, client: AgentTasks) -> None:
        self.client = client
        self.settings = client.settings
        self.keys = KnownKeys(partial(keys.verify, client))
        """Verifies API keys."""
        self.sessions = KnownKeys(partial(sign_in.key_of, client))
        """Verifies sessions of the console."""
        self.backlog = CollectorRegistry()
        """What the deployment has to do, as `/metrics` says it."""
        self.backlog.register(Backlog(client))
        self.agents = KnownAgents(client)
        """The agents, as the doors of the protocols show them."""
        self.accepting = Accepting(client)
        """Accepts tasks, those of one moment together."""
        self.issuer = Issuer(self.settings) if self.settings.oidc_issuer else None
        """Who issues tokens beside our own keys."""
        rate = self.settings.gateway_rate
        self.rate = _rate_limit(client, Rate.parse(rate)) if rate else None
        """How many requests of a tenant are let through: by all gateways together, without a Redis by this one."""
        most = self.settings.gateway_open_tasks
        self.open_tasks = OpenTasks(most, self._count_open_tasks) if most else None
        """How many tasks a tenant may have that have not ended."""
        self.followed = FollowedTasks(self.settings.gateway_followed_tasks)
        """How many tasks a tenant has this gateway follow."""
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="agent-tasks-gateway")
        """For calls that take milliseconds; nothing waits for a task in here."""
        self.closing = asyncio.Event()
        self._streams: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Note the event loop that serves; called on it."""
        self._loop = asyncio.get_running_loop()

    async def in_thread(self, function: "Callable[Concatenate[Gate, P], T]", *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns, called with the gate first, off the event loop.

        (As `run_in_executor` does, which makes a second future of the one, for a tenth of a short request's time.)
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                result = function(self, *args, **kwargs)
            except BaseException as error:
                loop.call_soon_threadsafe(_fail, answer, error)
            else:
                loop.call_soon_threadsafe(_settle, answer, result)

        self.threads.submit(work)
        return await answer

    @contextmanager
    def waking(self, stream: asyncio.Event) -> Generator[None]:
        """Within it the event is set, too, when `closing` is."""
        self._streams.add(stream)
        try:
            yield
        finally:
            self._streams.discard(stream)

    def _count_open_tasks(self, tenant: str) -> int:
        with self.client.database.connection() as connection:
            return doors.open_tasks(connection, tenant, self.settings.gateway_open_tasks)

    def close_streams(self) -> None:
        """End the answers that last: the gateway goes, and their readers go on at another one. From any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._close_streams)

    def _close_streams(self) -> None:
        self.closing.set()
        for stream in self._streams:
            stream.set()

    def close(self) -> None:
        """Close what was opened."""
        self.threads.shutdown()
        self.client.close()


def _rate_limit(client: AgentTasks, rate: Rate) -> RateLimit | LocalRateLimit:
    return RateLimit(client.redis, rate) if client.has_redis else LocalRateLimit(rate)


def _settle(answer: "asyncio.Future[T]", result: T) -> None:
    if not answer.done():  # nobody waits for it any more
        answer.set_result(result)


def _fail(answer: "asyncio.Future[T]", error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
