"""Which signals an agent waits for, told from the code of its steps, and only where that is sure."""

import functools
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

import agent_tasks
from agent_tasks import Agent, Context, Done, Next, Signal, Wait, agents, directives
from agent_tasks import Wait as Pause
from agent_tasks.wait_names import wait_names
from tests import agents_family
from workers.registration import definition

PAID, ANSWERS, COMPUTED = "paid", ("yes", "no"), 7


class Word(StrEnum):
    STOP = "stop"


# --- told ---------------------------------------------------------------------------------------------------------


def no_wait(ctx: Context):
    return Done(sorted(["approval"]))


def literal(ctx: Context):
    return Wait("approval", then="next")


async def one_of_two(ctx: Context, hasty: bool):
    if hasty:
        return Wait("now", then="next", timeout=3)
    return Wait(["later", "never"], then="next", all=True)


def constants(ctx: Context):
    return Wait(PAID, then="next") if ctx.attempt else Wait(ANSWERS, then="next") or Wait((PAID, Word.STOP), then="x")


def chosen(ctx: Context, loud: bool):
    return Wait("shout" if loud else "whisper", then="next")


def by_another_name(ctx: Context):
    return Pause("approval", then="next")


def by_module(ctx: Context):
    return agent_tasks.Wait("one", then="x") or directives.Wait("two", then="x")


def helper() -> Wait:
    """Its annotations hand nothing around."""
    return Wait("helped", then="next")


def by_helper(ctx: Context):
    return helper()


def by_module_of_helpers(ctx: Context):
    return agents_family.await_answer(ctx, 1)


def nested(ctx: Context):
    def inner(found: "Wait | None" = None) -> Any:
        kept: Wait = Wait("inner", then="next")
        return kept

    return [inner() for _ in range(1)]


def made(name: str) -> Callable[..., Any]:
    def step(ctx: Context):
        return Wait(name, then="next")

    return step


def local_import(ctx: Context):
    from tests.agents_family import await_answer

    return await_answer(ctx, 1)


class Desk:
    """A step may be a method, and call others."""

    limit = 3

    def ask(self, ctx: Context):
        return self.really(ctx)

    @staticmethod
    def really(ctx: Context):
        return Wait("desk", then="next")

    @property
    def own(self) -> Wait:
        return Wait("property", then="next")


def with_an_object(ctx: Context):
    return Desk().ask(ctx)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*values: Any, **state: Any) -> Any:
        return function(*values, **state)

    return wrapper


@logged
def decorated(ctx: Context):
    return helper()


@functools.lru_cache
def remembered(ctx: Context):
    return Wait("remembered", then="next")


def calls_remembered(ctx: Context):
    return remembered(ctx)


class Order(BaseModel):
    number: int

    def wait(self) -> Wait | Next:
        return Wait("ordered", then="next")


class Basket(BaseModel):
    orders: list[Order]


def by_a_method_of_its_input(ctx: Context, order: Order):
    return order.wait()


def by_a_part_of_its_signal(ctx: Context, signal: Signal[Basket] | None, done: "Callable[[int], Any] | None" = None):
    return signal.payload.orders[0].wait() if signal and signal.payload else None


TABLE = {"a": helper, "b": [functools.partial(literal, None)]}
PARKED = Wait("parked", then="next")


def by_table(ctx: Context, key: str):
    return TABLE[key]()


def prepared(ctx: Context):
    return PARKED


def recursive(ctx: Context, n: int):
    return recursive(ctx, n - 1) if n else Wait("deep", then="next")


in_one_line = lambda ctx: Wait("approval", then="next")  # noqa: E731


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (no_wait, set()), (literal, {"approval"}), (one_of_two, {"now", "later", "never"}),
        (constants, {"paid", "yes", "no", "stop"}), (chosen, {"shout", "whisper"}), (by_another_name, {"approval"}),
        (by_module, {"one", "two"}), (by_helper, {"helped"}), (by_module_of_helpers, {"answer"}), (nested, {"inner"}),
        (made("closed"), {"closed"}), (local_import, {"answer"}), (Desk().ask, {"desk", "property"}),
        (with_an_object, {"desk", "property"}), (decorated, {"helped"}), (calls_remembered, {"remembered"}),
        (by_table, {"helped", "approval"}), (prepared, {"parked"}), (recursive, {"deep"}),
        (by_a_method_of_its_input, {"ordered"}), (by_a_part_of_its_signal, {"ordered"}),
        (functools.partial(literal), {"approval"}), (in_one_line, {"approval"}),
    ],
)  # fmt: skip
def test_the_names_are_those_of_every_wait_that_the_step_can_reach(function: Any, names: set[str]) -> None:
    assert wait_names([function]) == names


def test_the_names_of_all_steps_add_up() -> None:
    assert wait_names([literal, no_wait, chosen]) == {"approval", "shout", "whisper"}


# --- not told -----------------------------------------------------------------------------------------------------


def argument(ctx: Context, name: str):
    return Wait(name, then="next")


def formatted(ctx: Context):
    return Wait(f"order-{ctx.task_id}", then="next")


def no_string(ctx: Context):
    return Wait(COMPUTED, then="next")  # type: ignore[arg-type]


def unpacked(ctx: Context, names: list[str]):
    return Wait(*names, then="next")


def shadowed(ctx: Context):
    PAID = str(ctx.task_id)  # noqa: N806
    return Wait(PAID, then="next")


def handed_on(ctx: Context):
    return Next("x", kind=str(Wait))


def default(ctx: Context, kind: Any = Wait):
    return kind("approval", then="next")


def imports_it(ctx: Context):
    from agent_tasks import Wait as Later

    return Later("approval", then="next")


def imports_what_is_not_loaded(ctx: Context):
    import acme_flows  # type: ignore[import-not-found]

    return acme_flows.wait()


def evaluated(ctx: Context):
    return eval("Wa" + "it")("approval", then="next")


class OwnWait(Wait):
    __slots__ = ()


def subclassed(ctx: Context):
    return OwnWait("approval", then="next")


class Factory:
    kind = Wait


def by_attribute(ctx: Context):
    return Factory.kind("approval", then="next")


KINDS = {"wait": Wait}


def by_dict(ctx: Context):
    return KINDS["wait"]("approval", then="next")


def without_source() -> Any:
    namespace: dict[str, Any] = {"Wait": Wait}
    exec('def step(ctx):\n    return Wait("approval", then="next")', namespace)
    return namespace["step"]


def means_nothing(ctx: Context, order: "Unknown"):  # type: ignore[name-defined]  # noqa: F821
    return order.wait()


class Unbound:
    """As the proxies of web frameworks are, outside of a request."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("outside of a request")


request = Unbound()


def by_proxy(ctx: Context):
    return request


UNTOLD = [
    argument, formatted, no_string, unpacked, shadowed, handed_on, default, imports_it, imports_what_is_not_loaded,
    evaluated, means_nothing, by_proxy, subclassed, by_attribute, by_dict, without_source(), made(COMPUTED),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize("function", UNTOLD)
def test_what_is_not_plain_to_see_is_not_told(function: Any) -> None:
    assert wait_names([literal, function]) is None


def test_code_without_an_end_is_not_told() -> None:
    steps = [made(str(n)) for n in range(3000)]
    assert wait_names(steps[:100]) is not None
    assert wait_names(steps) is None


# --- agents -------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_agents_left_behind() -> Iterator[None]:
    before = set(agents.loaded_agents())
    yield
    for name in set(agents.loaded_agents()) - before:
        del agents._registry[name]


def test_what_an_agent_declares_goes_before_what_its_code_says() -> None:
    mine = Agent("mine", signals=["other"])
    mine.step(literal)
    assert mine.waits_for == {"other"}


def test_a_step_that_is_declared_later_counts_too() -> None:
    mine = Agent("mine")
    mine.step(literal)
    assert mine.waits_for == {"approval"}
    mine.step(chosen)
    assert mine.waits_for == {"approval", "shout", "whisper"}


def test_an_agent_does_not_wait_for_what_the_agents_that_it_spawns_wait_for() -> None:
    mine = Agent("mine")

    def spawning(ctx: Context):
        return agent_tasks.FanOut([agent_tasks.Child(agents_family.hops_and_waits)], then="x")

    mine.step(spawning)
    assert mine.waits_for == set()


@pytest.mark.parametrize(("step", "told"), [(one_of_two, ["later", "never", "now"]), (no_wait, []), (argument, None)])
def test_a_worker_tells_submitters_what_the_code_says(step: Any, told: list[str] | None) -> None:
    mine = Agent("mine")
    mine.step(step)
    assert definition(mine)["signals"] == told
