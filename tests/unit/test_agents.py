"""Agents: declared in modules, with steps whose arguments are validated by name."""

import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from agent_tasks import Agent, Context, Done, InvalidInput, Next, Retry, SyncContext, UnknownAgent
from agent_tasks.authoring import agent as agents
from agent_tasks.authoring.agent import agent, checked_against, find_agent, input_mapping, loaded_agents
from agent_tasks.authoring.loading import load_agents
from agent_tasks.engine.process.registration import definition
from agent_tasks.task.payloads import stored

if TYPE_CHECKING:
    from somewhere_else import OnlyForTypeCheckers  # type: ignore[import-not-found]


@pytest.fixture(autouse=True)
def _no_agents_left_behind() -> Iterator[None]:
    before = loaded_agents()
    yield
    for name, left in loaded_agents().items():
        if name not in before and left.module == __name__:  # what a module declares it declares once
            del agents._registry[name]


@dataclass
class Point:
    x: int
    y: int = 0


class Question(BaseModel):
    text: str = Field(min_length=1)
    later: "Later | None" = None


class Later(BaseModel):
    at: date


def made(function: Any, **options: Any) -> agents.Step:
    """A step of an agent of its own."""
    mine = Agent("mine")
    mine.step(**options)(function)
    return mine.first_step


@pytest.mark.parametrize("name", ["a", "Writer-2_b", "x" * 64])
def test_a_name_of_letters_digits_and_dashes_is_a_name(name: str) -> None:
    assert find_agent(Agent(name).name).name == name


@pytest.mark.parametrize("name", ["", "2a", "a b", "a.b", "é", "a" * 65, "a\n", "_a", "a/b", 'a"'])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is no valid name"):
        Agent(name)
    with pytest.raises(InvalidInput, match="is no valid name"):
        Agent("mine").step(lambda ctx: None, name=name or "<lambda>")


@pytest.mark.parametrize("retention", [0, -1, float("nan"), True, "9", timedelta(days=-1), timedelta(days=9999)])
def test_a_retention_that_is_no_time_is_refused_where_it_is_declared(retention: Any) -> None:
    with pytest.raises(InvalidInput, match="retention") as caught:
        Agent("mine", retention=retention)
    assert caught.value.details["field"] == "retention"


def test_a_retention_is_seconds_or_a_timedelta() -> None:
    assert Agent("mine", retention=timedelta(hours=2)).retention == 7200
    kept = Agent("kept", retention=90)
    kept.step(lambda ctx: None, name="only")
    assert definition(kept)["retention"] == 90


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), True, "9"])
def test_a_ttl_that_is_no_time_is_refused_where_it_is_declared(ttl: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Agent("mine", ttl=ttl)
    assert caught.value.details["field"] == "ttl"


def test_an_unknown_agent_is_refused_with_those_that_are_loaded() -> None:
    Agent("mine")
    with pytest.raises(UnknownAgent, match=r"mine.*AGENT_TASKS_AGENTS"):
        find_agent("nobody")


def test_a_step_stays_the_plain_function_that_it_is() -> None:
    mine = Agent("mine")

    def begin(ctx: SyncContext, topic: str):
        return Next(end, topic=topic)

    def end(ctx: SyncContext, topic: str):
        return Done(topic)

    assert mine.step(begin) is begin
    assert mine.step(retry=Retry(attempts=3), name="finish")(end) is end
    assert begin(None, "tides") == Next(end, topic="tides")  # type: ignore[arg-type]
    assert (mine.first_step.task_name, list(mine.steps)) == ("mine.begin", ["begin", "finish"])
    assert mine.find_step(end) is mine.find_step("finish")
    assert mine.find_step("finish").retry.attempts == 3


def test_an_agent_knows_which_steps_are_async() -> None:
    async def step(ctx: Context) -> None: ...

    assert made(step).is_async
    assert not made(lambda ctx: None, name="plain").is_async


def test_two_steps_of_one_name_are_refused() -> None:
    mine = Agent("mine")
    mine.step(lambda ctx: None, name="begin")
    with pytest.raises(InvalidInput, match="two steps named 'begin'"):
        mine.step(lambda ctx: None, name="begin")


@pytest.mark.parametrize("reference", ["ending", lambda ctx: None, None, 7])
def test_a_step_that_does_not_exist_is_refused_with_those_that_do(reference: Any) -> None:
    mine = Agent("mine")
    mine.step(lambda ctx: None, name="begin")
    mine.step(lambda ctx: None, name="end")
    with pytest.raises(InvalidInput, match="begin, end") as caught:
        mine.find_step(reference)
    assert caught.value.details["steps"] == ["begin", "end"]


def test_an_agent_without_steps_says_so() -> None:
    with pytest.raises(InvalidInput, match="has no steps"):
        _ = Agent("mine").first_step


def no_context() -> None: ...
def by_position(ctx: SyncContext, topic: str, /) -> None: ...
def any_number(ctx: SyncContext, *topics: str) -> None: ...
def only_named(*, ctx: SyncContext) -> None: ...
def method(self: Any, ctx: SyncContext) -> None: ...


def yields(ctx: SyncContext) -> Iterator[Next]:
    yield Next("end")


async def yields_later(ctx: Context) -> Any:
    yield Next("end")


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (no_context, "first parameter must be the context"),
        (by_position, "given by name"),
        (any_number, "given by name"),
        (only_named, "first parameter must be the context"),
        (method, r"agent\.step\(self"),
        (yields, "generator"),
        (yields_later, "generator"),
        (functools.partial(yields_later), "generator"),
    ],
)
def test_a_function_that_cannot_be_called_as_a_step_is_refused_where_it_is_declared(function: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"cannot be a step: .*{why}"):
        made(function)
    with pytest.raises(InvalidInput, match="cannot be one"):
        Agent("mine").step(lambda ctx: None, name="begin", undo=function)


def full(
    ctx: SyncContext, topic: str, n: int = 1, *, point: Point | None = None, question: "Question | None" = None,
    odd: Annotated[int, Field(ge=0)] = 0, untyped=None,
) -> None: ...  # fmt: skip


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({}, "topic"),
        ({"topic": 7}, "topic"),
        ({"topic": "t", "n": "many"}, "n"),
        ({"topic": "t", "point": {"x": "a"}}, "point.x"),
        ({"topic": "t", "question": {"text": ""}}, "question.text"),
        ({"topic": "t", "question": {"text": "a", "later": {"at": "never"}}}, "question.later.at"),
        ({"topic": "t", "odd": -1}, "odd"),
        ({"topic": "t", "other": 1}, "other"),
        ({"topic": "t", "ctx": 1}, "ctx"),
        ({"topic": "t", "children": []}, "children"),
        ({"topic": "t", "signal": None}, "signal"),
    ],
)
def test_a_mismatch_is_invalid_input_with_the_field_named(state: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        made(full).validate(state)
    assert caught.value.details["field"] == field
    assert field in caught.value.message
    assert "mine.full" in caught.value.message


def test_arguments_are_validated_into_what_the_annotations_say() -> None:
    state = {"topic": "t", "n": "3", "point": {"x": 1}, "question": {"text": "why", "later": {"at": "2026-01-02"}}}
    arguments = made(full).validate(state)
    assert arguments == {
        "topic": "t",
        "n": 3,
        "point": Point(1),
        "question": Question(text="why", later=Later(at=date(2026, 1, 2))),
    }


def test_the_stored_form_is_json_that_validates_to_the_same_again() -> None:
    step = made(full)
    text, arguments = step.write({"topic": "t", "point": Point(1, 2), "untyped": {date(2026, 1, 2)}})
    kept = stored(text)
    assert kept == {"topic": "t", "point": {"x": 1, "y": 2}, "untyped": ["2026-01-02"]}
    assert step.write(kept) == (text, arguments)
    assert step.validate(kept) == arguments == {"topic": "t", "point": Point(1, 2), "untyped": ["2026-01-02"]}


def test_defaults_are_left_to_the_function() -> None:
    assert stored(made(full).write({"topic": "t"})[0]) == {"topic": "t"}


def test_a_default_that_is_a_field_of_pydantic_is_its_default_and_its_constraints_hold() -> None:
    def paged(
        ctx: SyncContext,
        size: int = Field(default=3, gt=0),
        tags: list[str] = Field(default_factory=lambda: ["new"]),  # noqa: B008
        page: int = Field(alias="p"),
    ) -> None: ...

    step = made(paged)
    assert step.validate({"p": 1}) == step.write({"p": 1})[1] == {"size": 3, "tags": ["new"], "page": 1}
    assert step.write({"p": 1, "size": 5})[1]["size"] == 5
    for state, field in (({"p": 1, "size": 0}, "size"), ({}, "p")):
        with pytest.raises(InvalidInput) as caught:
            step.write(state)
        assert caught.value.details["field"] == field


def test_what_a_step_would_not_be_given_back_is_refused_with_the_argument_named() -> None:
    def sign_in(ctx: SyncContext, user: str, key: SecretStr) -> None: ...

    with pytest.raises(InvalidInput) as caught:
        made(sign_in).write({"user": "ana", "key": "hunter2"})
    assert caught.value.details["field"] == "input.key"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [[float("nan")]], {"a": Point(1, float("nan"))}])  # type: ignore[arg-type]
def test_what_json_has_no_number_for_is_refused_and_not_made_null(value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        made(full).write({"topic": "t", "untyped": value})
    assert caught.value.details["field"].startswith("input.untyped")


def test_other_names_are_taken_where_the_function_takes_any() -> None:
    def any_names(ctx: SyncContext, topic: str, **more: Any) -> None: ...

    given = {"topic": "t", "a": 1, "children": [2]}
    assert made(any_names).write(given)[1] == given
    with pytest.raises(InvalidInput):
        made(any_names).validate({"topic": "t", "ctx": 1})


@pytest.mark.parametrize("name", ["children", "signal"])
def test_what_the_system_injects_is_no_input_even_where_any_name_is_taken(name: str) -> None:
    def injected(ctx: SyncContext, topic: str, children: list[Any], signal: Any, **more: Any) -> None: ...

    step = made(injected)
    assert step.wants == {"children", "signal"}
    assert step.write({"topic": "t"})[1] == {"topic": "t"}
    with pytest.raises(InvalidInput) as caught:
        step.validate({"topic": "t", name: []})
    assert caught.value.details["field"] == name


def test_annotations_that_only_type_checkers_know_do_not_matter_on_the_context_and_the_result() -> None:
    def lazily(ctx: "OnlyForTypeCheckers", topic: "str") -> "OnlyForTypeCheckers": ...

    assert made(lazily).validate({"topic": "t"}) == {"topic": "t"}


def test_a_one_function_agent_is_an_agent_with_one_step() -> None:
    @agent("one_function", ttl=5, retry=Retry(attempts=2))
    async def only(ctx: Context, topic: str) -> None: ...

    found = find_agent("one_function")
    assert (list(found.steps), found.ttl, found.first_step.retry.attempts) == (["only"], 5, 2)
    assert inspect.iscoroutinefunction(only)
    assert found.module == __name__


@pytest.mark.parametrize("value", ["text", 7, [1], {1: 2}, object()])
def test_an_input_is_a_mapping_by_name(value: Any) -> None:
    with pytest.raises(InvalidInput, match="mapping"):
        input_mapping(value)


def test_no_input_and_a_model_are_mappings_too() -> None:
    assert input_mapping(None) == {}
    assert input_mapping(Question(text="why")) == {"text": "why", "later": None}


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        ({"nme": "x"}, "nme", "did you mean name?"),
        ({}, "name", "missing"),
        ({"name": 7}, "name", "7"),
        ({"name": "x", "more": {"at": 1}}, "more.at", "1"),
    ],
)
def test_what_a_registered_schema_refuses_is_told_with_the_field_and_its_nearest_name(
    value: dict[str, Any], field: str, said: str
) -> None:
    more = {"type": "object", "properties": {"at": {"type": "string"}}}
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "more": more}, "required": ["name"],
              "additionalProperties": False}  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        checked_against(schema, value, "hello")
    assert caught.value.details["field"] == field
    assert said in caught.value.message


def test_a_module_that_does_not_load_is_told_with_its_error_and_the_others_load() -> None:
    failed = load_agents(("nowhere.at_all", "tests.agents"))
    assert isinstance(failed["nowhere.at_all"], ModuleNotFoundError)
    assert "tests.agents" not in failed
    assert "echo" in loaded_agents()


def test_an_agent_says_how_a_submit_over_http_is_answered() -> None:
    made = Agent("answers_itself", mode="auto", mode_hints=["plan", "in the background"])
    assert (made.mode, made.mode_hints) == ("auto", ("plan", "in the background"))
    made.step(lambda ctx: None, name="begin")
    registered = definition(made)
    assert (registered["mode"], registered["mode_hints"]) == ("auto", ["plan", "in the background"])
    said = Agent("answers_at_once")
    assert (said.mode, said.mode_hints) == ("async", ())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"mode": "later"}, "mode"),
        ({"mode": None}, "mode"),
        ({"mode": ["auto"]}, "mode"),
        ({"mode_hints": [""]}, "mode_hints"),
        ({"mode_hints": [" "]}, "mode_hints"),
        ({"mode_hints": [7]}, "mode_hints"),
        ({"mode_hints": ["x" * 201]}, "mode_hints"),
    ],
)
def test_a_mode_that_means_nothing_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Agent("answers_nohow", **options)
    assert caught.value.details["field"] == field
