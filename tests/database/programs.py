"""Generated steps: what an agent's code may do with its calls, and a world outside that knows what was done."""

import asyncio
import random
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from agent_tasks import Retry

Program = Any
"""A node: its kind, and what it is made of."""
Site = tuple[Any, ...]
"""Which call it is, by the logic of the program: what no repeat may confuse."""


class Boom(Exception):
    """The failure of a call."""


@dataclass
class World:
    """What is outside of the step, and outlives its worker."""

    outcomes: dict[Site, set[str]] = field(default_factory=lambda: defaultdict(set))
    """What calls of each site have returned."""
    recorded: set[str] = field(default_factory=set)
    """The keys of calls whose outcome is in the ledger."""
    again: list[str] = field(default_factory=list)
    """Effects under a key whose outcome was in the ledger already."""
    charges: dict[Site, int] = field(default_factory=dict)
    """What charges of each site were begun, whether or not the step was told of them."""
    serial: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def effect(self, site: Site, name: str, key: str) -> str:
        with self.lock:
            if key in self.recorded:
                self.again.append(f"{name} {site} {key[:8]}")
            self.serial += 1
            outcome = f"{name}#{self.serial}"
            self.outcomes[site].add(outcome)
            return outcome


@dataclass
class Trial:
    """One try of a program: what it sees, and when it dawdles and fails."""

    world: World
    ctx: Any
    chance: random.Random
    is_flaky: bool
    is_dead: Callable[[], bool] = lambda: False
    seen: dict[Site, str] = field(default_factory=dict)
    unordered: Counter[int] = field(default_factory=Counter)
    """How often threads that the step knows nothing of made calls of each number: two of one number are equal."""
    scale: float = 1.0
    """Of all times."""

    async def call(
        self,
        site: Site,
        name: str,
        argument: Any,
        fails: float = 0.0,
        slow: float = 0.0,
        body: Callable[[], Awaitable[Any]] | None = None,
        **options: Any,
    ) -> str:
        async def effect(argument: Any) -> str:
            await asyncio.sleep(slow or self.chance.random() * 0.02 * self.scale)
            inner = await body() if body else None
            if self.is_flaky and self.chance.random() < fails:
                raise Boom(name)
            outcome = self.world.effect(site, name, self.ctx.idempotency_key)
            if inner is not None:
                self.world.outcomes[site].add(outcome := f"{outcome}<{inner}>")
            return outcome

        value = await self.ctx.using(name=name, **options).call(effect, argument)
        self.seen[site] = value
        return value

    def call_plainly(self, site: Site, name: str, argument: Any, fails: float = 0.0, **options: Any) -> str:
        def effect(argument: Any) -> str:
            if self.is_flaky and self.chance.random() < fails:
                raise Boom(name)
            return self.world.effect(site, name, self.ctx.idempotency_key)

        value = self.ctx.using(name=name, **options).call(effect, argument)
        self.seen[site] = value
        return value

    async def jitter(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if self.chance.random() < 0.3:
            await asyncio.sleep(self.chance.random() * 0.01 * self.scale)


async def perform(node: Program, trial: Trial, site: Site = (), last: Any = "start") -> Any:
    """Run a node of an async program; `last` is what came before it."""
    kind, *parts = node
    return await _KINDS[kind](parts, trial, site, last)


async def _call(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    name, mode, fails = parts
    return await trial.call(site, f"f{name}", last if mode == "last" else mode, fails)


async def _sequence(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    for number, child in enumerate(parts[0]):
        last = await perform(child, trial, (*site, number), last)
    return last


def _at_once(how: str) -> Any:
    async def run(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
        gate = asyncio.Semaphore(2 if how == "semaphore" else 99)

        async def branch(number: int, child: Program) -> Any:
            await trial.jitter()
            async with gate:
                return await perform(child, trial, (*site, number), last)

        children = list(enumerate(parts[0]))
        if how == "group":
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(branch(*child)) for child in children]
            return "+".join(str(task.result()) for task in tasks)
        if how == "tasks":
            tasks = [asyncio.create_task(branch(*child)) for child in children]
            mine = await trial.call((*site, "mid"), "mid", last)
            return "+".join([mine, *[str(await task) for task in tasks]])
        values = await asyncio.gather(*(branch(*child) for child in children), return_exceptions=how == "all")
        return "+".join("failed" if isinstance(value, BaseException) else str(value) for value in values)

    return run


async def _loop(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    for number in range(parts[0]):
        last = await perform(parts[1], trial, (*site, number), last)
    return last


async def _if(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    side = sum(map(ord, str(last))) % 2
    return await perform(parts[side], trial, (*site, side), last)


async def _fallback(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    try:
        return await trial.call((*site, "primary"), "primary", parts[0], 0.6)
    except Boom:
        return await perform(parts[1], trial, (*site, "fallback"), "fell back")


async def _timeout(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    slow = trial.chance.choice([0.005, 0.03, 0.06]) * trial.scale
    try:
        async with asyncio.timeout(parts[0] * trial.scale):
            return await trial.call((*site, "slow"), "slow", last, slow=slow)
    except TimeoutError:
        return await perform(parts[1], trial, (*site, "late"), "late")


async def _nested(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    return await trial.call((*site, "outer"), "outer", last, body=lambda: perform(parts[0], trial, (*site, "in"), last))


async def _tried(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    retry = Retry(attempts=3, base=0)
    return await trial.call(
        (*site, "tried"), "tried", last, 0.3, body=lambda: perform(parts[0], trial, (*site, "in"), last), retry=retry
    )


async def _charge(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    trial.world.charges[(*site, "charge")] = parts[0]
    await trial.ctx.charge(tokens=parts[0])
    trial.seen[(*site, "charge")] = str(parts[0])
    return last


async def _generator(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    async def pages() -> AsyncIterator[str]:
        for number in range(parts[0]):
            yield await trial.call((*site, "page", number), "page", last)

    number = 0
    async for page in pages():
        last = await perform(parts[1], trial, (*site, "each", number), page)
        number += 1
    return last


async def _tools(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    for turn in range(parts[0]):
        answer = await trial.call((*site, turn, "model"), "model", last)

        async def use(number: int, turn: int = turn, answer: str = answer) -> str:
            await trial.jitter()
            new = await trial.call((*site, turn, "new", number), "new id", 0)
            return await trial.call((*site, turn, "tool", number), "tool", [answer, number, new])

        last = "+".join(await asyncio.gather(*(use(number) for number in range(parts[1]))))
    return last


def _in_order_of_time(spawns: bool) -> Any:
    async def run(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
        async def fetch(number: int) -> tuple[int, str]:
            return number, await trial.call((*site, "fetch", number), "fetch", number)

        async def then(number: int, value: str) -> Any:
            await trial.jitter()
            return await perform(parts[1], trial, (*site, "then", number), value)

        found: dict[int, Any] = {}
        async with asyncio.TaskGroup() as group:
            for following in asyncio.as_completed([fetch(number) for number in range(parts[0])]):
                number, value = await following
                found[number] = group.create_task(then(number, value)) if spawns else await then(number, value)
        return "+".join(str(v.result() if spawns else v) for _, v in sorted(found.items()))

    return run


async def _race(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    tasks = [asyncio.create_task(perform(c, trial, (*site, n), last)) for n, c in enumerate(parts[0])]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winner = min(number for number, task in enumerate(tasks) if task in done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    value = tasks[winner].result()
    return await trial.call((*site, "won", winner), "won", [winner, value])


async def _queue(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
    queue: asyncio.Queue[int] = asyncio.Queue()
    found: dict[int, Any] = {}
    for number in range(parts[0]):
        queue.put_nowait(number)

    async def worker() -> None:
        while not queue.empty():
            number = queue.get_nowait()
            await trial.jitter()
            value = await trial.call((*site, "item", number), "item", number)
            found[number] = await perform(parts[1], trial, (*site, "after", number), value)

    await asyncio.gather(*(worker() for _ in range(2)))
    return "+".join(str(found[number]) for number in sorted(found))


def _threads(own: bool) -> Any:
    """In threads that the step begins through asyncio, or that know nothing of it."""

    async def run(parts: Any, trial: Trial, site: Site, last: Any) -> Any:
        loop = asyncio.get_running_loop()

        def blocking(number: int) -> str:
            value = str(number)
            if own:
                trial.unordered[number] += 1
            for turn in range(2):
                made = trial.call((*site, number, turn), "blocking", [number, value])
                future = asyncio.run_coroutine_threadsafe(made, loop)
                while True:
                    with suppress(TimeoutError):
                        value = future.result(0.05)
                        break
                    if trial.is_dead():
                        raise Boom("its worker is gone")
            return value

        if not own:
            return "+".join(await asyncio.gather(*(asyncio.to_thread(blocking, n) for n in range(parts[0]))))
        threads = ThreadPoolExecutor(2)
        try:
            futures = [asyncio.wrap_future(threads.submit(blocking, n)) for n in range(parts[0])]
            return "+".join(await asyncio.gather(*futures))
        finally:
            threads.shutdown(wait=False)

    return run


_KINDS: dict[str, Any] = {
    "call": _call, "sequence": _sequence, "gather": _at_once("gather"), "all": _at_once("all"),
    "group": _at_once("group"), "tasks": _at_once("tasks"), "semaphore": _at_once("semaphore"), "loop": _loop,
    "if": _if, "fallback": _fallback, "timeout": _timeout, "nested": _nested, "tried": _tried, "charge": _charge,
    "generator": _generator, "tools": _tools, "completed": _in_order_of_time(False), "spawned": _in_order_of_time(True),
    "race": _race, "queue": _queue, "threads": _threads(False), "pool": _threads(True),
}  # fmt: skip


def perform_plainly(node: Program, trial: Trial, site: Site = (), last: Any = "start") -> Any:
    """Run a node of a plain program."""
    kind, *parts = node
    if kind == "call":
        return trial.call_plainly(site, f"f{parts[0]}", last if parts[1] == "last" else parts[1], parts[2])
    if kind == "sequence":
        for number, child in enumerate(parts[0]):
            last = perform_plainly(child, trial, (*site, number), last)
        return last
    if kind == "fallback":
        try:
            return trial.call_plainly((*site, "primary"), "primary", parts[0], 0.6)
        except Boom:
            return perform_plainly(parts[1], trial, (*site, "fallback"), "fell back")
    if kind == "charge":
        trial.world.charges[(*site, "charge")] = parts[0]
        trial.ctx.charge(tokens=parts[0])
        trial.seen[(*site, "charge")] = str(parts[0])
        return last
    with ThreadPoolExecutor(2) as threads:  # of the step's own: what is equal in them needs a key
        made = [
            threads.submit(trial.call_plainly, (*site, n), "thread", last, key=f"{site} {n}") for n in range(parts[0])
        ]
    return "+".join(str(one.result()) for one in made)


# --- strategies ---------------------------------------------------------------------------------------------

_modes = st.sampled_from(["last", "last", "x", "y"])
calls = st.tuples(st.just("call"), st.integers(0, 1), _modes, st.sampled_from([0.0, 0.0, 0.0, 0.3]))
sure_calls = st.tuples(st.just("call"), st.integers(0, 1), _modes, st.just(0.0))
charges = st.tuples(st.just("charge"), st.integers(1, 3))


def _structured(inner: Any) -> Any:
    some = st.lists(inner, min_size=2, max_size=3)
    kinds = ["sequence", "sequence", "gather", "gather", "group", "all", "tasks", "semaphore"]
    return st.one_of(
        st.tuples(st.sampled_from(kinds), some),
        st.tuples(st.just("loop"), st.integers(2, 3), inner),
        st.tuples(st.just("if"), inner, inner),
        st.tuples(st.just("fallback"), st.sampled_from("ab"), inner),
        st.tuples(st.just("timeout"), st.just(0.02), inner),
        st.tuples(st.sampled_from(["nested", "tried"]), inner),
        st.tuples(st.just("generator"), st.integers(2, 3), inner),
        st.tuples(st.just("tools"), st.integers(1, 2), st.integers(2, 3)),
    )


def _timely(inner: Any) -> Any:
    return st.one_of(
        _structured(inner),
        st.tuples(st.sampled_from(["completed", "spawned"]), st.integers(2, 3), inner),
        st.tuples(st.just("race"), st.lists(inner, min_size=2, max_size=2)),
        st.tuples(st.just("queue"), st.integers(2, 4), inner),
    )


def _threaded(inner: Any) -> Any:
    return st.one_of(_timely(inner), st.tuples(st.sampled_from(["threads", "pool"]), st.integers(2, 3)))


structured: Any = _structured(st.recursive(st.one_of(calls, calls, charges), _structured, max_leaves=6))
timely: Any = _timely(st.recursive(st.one_of(calls, calls, charges), _timely, max_leaves=5))
threaded: Any = st.tuples(
    st.just("sequence"),
    st.lists(_threaded(st.recursive(sure_calls, _threaded, max_leaves=3)), min_size=2, max_size=3),
)
plain: Any = st.tuples(
    st.just("sequence"),
    st.lists(
        st.one_of(
            calls,
            charges,
            st.tuples(st.just("fallback"), st.sampled_from("ab"), calls),
            st.tuples(st.just("threads"), st.integers(2, 3)),
        ),
        min_size=2,
        max_size=5,
    ),
)
crashes: Any = st.lists(st.one_of(st.integers(2, 8), st.integers(2, 30)), min_size=1, max_size=4)
"""After how many writes the worker is lost, in one try after the other."""
