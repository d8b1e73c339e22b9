"""Steps in every form in which functions are written: they are found again by what Next is given."""

import functools
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks import Agent, Context, InvalidInput, Next, SyncContext
from agent_tasks.authoring.functions import is_async, is_generator, name_of
from agent_tasks.engine.steps.answers import restore

pytestmark = pytest.mark.usefixtures("no_agents_left_behind")


async def later(ctx: Context) -> None: ...
def now(ctx: SyncContext) -> None: ...


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Flow:
    async def begin(self, ctx: Context) -> Next:
        return Next(self.end)

    def end(self, ctx: SyncContext) -> None: ...


class Tool:
    async def __call__(self, ctx: Context) -> None: ...


ASYNC = [later, wrapped(later), wrapped(wrapped(later)), functools.partial(later), wrapped(functools.partial(later)),
         Flow().begin, wrapped(Flow().begin), Tool(), functools.partial(Tool()), staticmethod(later)]  # fmt: skip
PLAIN = [now, wrapped(now), functools.partial(now), Flow().end, lambda ctx: None]


@pytest.mark.parametrize("function", ASYNC)
def test_a_function_is_async_however_it_is_wrapped(function: Any) -> None:
    assert is_async(function)
    mine = Agent("mine")
    mine.step(function, name="begin")
    assert mine.first_step.is_async


@pytest.mark.parametrize("function", PLAIN)
def test_a_plain_function_is_plain_however_it_is_wrapped(function: Any) -> None:
    assert not is_async(function)
    assert not is_generator(function)


@pytest.mark.parametrize(
    ("function", "name"),
    [(later, "later"), (functools.partial(later), "later"), (wrapped(now), "now"), (Flow().begin, "begin"),
     (Tool(), "Tool")],
)  # fmt: skip
def test_a_step_is_named_like_its_function(function: Any, name: str) -> None:
    mine = Agent("mine")
    mine.step(function)
    assert (mine.first_step.name, name_of(function)) == (name, name)


def test_a_method_of_an_object_is_a_step_and_found_as_one() -> None:
    flow, mine = Flow(), Agent("mine")
    mine.step(flow.begin)
    mine.step(flow.end)
    assert mine.find_step(flow.end).name == "end"
    assert Next(flow.end) == Next("end")
    with pytest.raises(InvalidInput, match="of another function"):
        mine.find_step(Flow().end)


def test_a_decorator_above_that_of_the_agent_hides_no_step() -> None:
    mine = Agent("mine")
    decorated = wrapped(mine.step(later))
    assert mine.find_step(decorated).name == "later"


def test_a_decorator_that_hides_what_it_wraps_is_named_as_the_cause() -> None:
    mine = Agent("mine")

    def hidden(ctx: Context) -> None: ...

    mine.step(later, name="hidden")
    with pytest.raises(InvalidInput, match=r"functools\.wraps"):
        mine.find_step(hidden)


def test_one_function_in_two_steps_is_named_by_text() -> None:
    mine = Agent("mine")
    mine.step(wrapped(later), name="first")
    mine.step(wrapped(later), name="second")
    with pytest.raises(InvalidInput, match="several steps"):
        mine.find_step(later)
    assert mine.find_step("second").name == "second"


def test_what_a_calls_function_holds_goes_with_it() -> None:
    class Held:
        pass

    def holding(held: Held) -> Callable[..., Any]:
        async def call() -> int:
            return id(held)

        return call

    held = Held()
    known = weakref.ref(held)
    assert restore(holding(held), 3) == 3
    del held
    gc.collect()
    assert known() is None
