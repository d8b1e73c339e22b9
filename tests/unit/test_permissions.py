"""What an agent declares that it may do: tools, scopes and a goal, and what is refused."""

import functools
from typing import Any

import pytest

from agent_tasks import Agent, Identity, InvalidInput, PermissionDenied
from agent_tasks.authoring.agent import agent, find_agent
from agent_tasks.authoring.permissions import Declared, Tools, check_scopes


def search(query: str) -> str:
    return query


@functools.wraps(search)
def traced(query: str) -> str:
    return search(query)


def delete() -> None: ...


class Shop:
    def order(self) -> None: ...

    def __call__(self) -> None: ...


shop = Shop()


def allowed(tools: Any, function: Any) -> bool:
    try:
        Tools(tools).check("writer", function)
    except PermissionDenied:
        return False
    return True


@pytest.mark.parametrize("tools", ["*", ["*"], ["delete", "*"]])
def test_any_function_is_a_tool_by_default(tools: Any) -> None:
    assert allowed(tools, search)
    assert allowed(tools, lambda: None)
    assert Tools(tools).names == ["*"]


@pytest.mark.parametrize(
    "tools",
    [[search], ["search"], [traced], search, "search", [f"{__name__}.search"], [delete, "search"], {search}],
)
def test_a_tool_is_named_or_given_as_the_function(tools: Any) -> None:
    assert allowed(tools, search)
    assert allowed(tools, traced)
    assert allowed(tools, functools.partial(search, "x"))
    assert not allowed(tools, Shop)


@pytest.mark.parametrize("tools", [[], [search], ["search"], ["Search", "sear", "search.x"]])
def test_what_is_no_tool_is_refused(tools: Any) -> None:
    assert not allowed(tools, delete)
    assert not allowed(tools, lambda: None)
    assert not allowed(tools, functools.partial(delete))


def test_methods_objects_and_functions_within_functions_are_tools_by_their_names() -> None:
    def ask() -> None: ...

    assert allowed([shop.order], shop.order)
    assert allowed(["Shop.order"], shop.order)
    assert allowed(["order"], shop.order)
    assert not allowed([shop.order], Shop().order)
    assert allowed(["Shop"], shop)
    assert allowed([shop], shop)
    assert allowed(["ask"], ask)


def test_a_refused_call_is_told_with_the_tools_there_are() -> None:
    with pytest.raises(PermissionDenied, match=r"may not call delete: its tools are fetch, search") as caught:
        Tools([search, "fetch"]).check("writer", delete)
    assert caught.value.details == {"agent": "writer", "call": "delete", "tools": ["fetch", "search"]}
    assert (caught.value.info.type, caught.value.info.retryable) == ("permission_denied", False)


ANA = Identity(subject="ana", tenant="acme", scopes=("read", "write"))


@pytest.mark.parametrize("needed", [(), ("read",), ("write", "read")])
def test_an_identity_with_the_scopes_may_run_an_agent(needed: tuple[str, ...]) -> None:
    check_scopes("writer", needed, ANA)


@pytest.mark.parametrize("needed", [("publish",), ("read", "publish"), ("READ", "publish"), ("rea",)])
def test_an_identity_that_lacks_a_scope_may_not_run_an_agent(needed: tuple[str, ...]) -> None:
    with pytest.raises(PermissionDenied, match="without the scope") as caught:
        check_scopes("writer", needed, ANA)
    assert set(caught.value.details["missing"]) == set(needed) - {"read", "write"}


def test_a_program_without_an_identity_is_trusted() -> None:
    check_scopes("writer", ["publish"], None)


def test_an_agent_says_what_it_is_for_and_what_it_may_do() -> None:
    made = Agent("says_what_it_may", goal="Writes", tools=[search, "fetch"], scopes=["write"])
    assert made.says == Declared("Writes", ["fetch", "search"], ("write",))
    assert Agent("says_nothing").says == Declared(None, ["*"], ())

    @agent("says_in_one", goal="Writes", tools=[], scopes="write")
    async def says(ctx: Any) -> None: ...

    assert find_agent("says_in_one").says == Declared("Writes", [], ("write",))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"tools": [7]}, "tools"),
        ({"tools": [""]}, "tools"),
        ({"tools": [None]}, "tools"),
        ({"scopes": [7]}, "scopes"),
        ({"scopes": [""]}, "scopes"),
        ({"goal": ""}, "goal"),
        ({"goal": 7}, "goal"),
        ({"goal": "x" * 2001}, "goal"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Agent("cannot_be", **given)
    assert caught.value.details["field"] == field


def test_what_a_worker_of_0_1_0_registered_allows_all() -> None:
    assert Declared.registered({"first_step": "begin"}) == Declared(None, ["*"], ())
