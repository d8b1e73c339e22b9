"""What an agent says of itself as a tool, and how its errors are those of JSON-RPC."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from agent_tasks import Agent, Context, InvalidInput, McpError, McpTool
from agent_tasks.authoring import agent as agents
from agent_tasks.authoring.agent import loaded_agents
from agent_tasks.authoring.calls.recorded_errors import rebuild, record
from agent_tasks.authoring.definition import definition
from agent_tasks.authoring.mcp_error import code_of
from agent_tasks.client.agents import known_tool
from agent_tasks.errors import ErrorType, from_info


@pytest.fixture(autouse=True)
def _no_agents_left_behind() -> Iterator[None]:
    before = loaded_agents()
    yield
    for name in set(loaded_agents()) - set(before):
        del agents._registry[name]


class Seats(BaseModel):
    seats: int


class Nothing(BaseModel):
    pass


def described(mcp: Any = McpTool(), **options: Any) -> dict[str, Any] | None:  # noqa: B008
    agent = Agent("writer", mcp=mcp, **options)

    @agent.step
    async def outline(ctx: Context, topic: str, seats: int = 1):
        """Outline a topic."""

    return definition(agent)["mcp"]


def test_an_agent_is_a_tool_of_its_own_name_unless_it_says_otherwise() -> None:
    usual = {"name": "writer", "description": "Outline a topic.", "task": "auto", "ask": None, "annotations": {}}
    assert described() == usual
    assert described(goal="Writes.") == {**usual, "description": "Writes."}
    assert described(McpTool(description="Says it.", name="a.b"), goal="Writes.") == {
        **usual,
        "name": "a.b",
        "description": "Says it.",
    }
    assert described(None) is None


def test_the_hints_of_a_tool_have_the_names_of_the_protocol() -> None:
    tool = described(McpTool(title="Write", read_only=False, destructive=True, idempotent=True, open_world=False))
    assert tool is not None
    assert tool["annotations"] == {
        "title": "Write",
        "readOnlyHint": False,
        "destructiveHint": True,
        "idempotentHint": True,
        "openWorldHint": False,
    }


def test_what_a_tool_asks_for_is_an_argument_of_the_first_step() -> None:
    tool = described(McpTool(ask=Seats))
    assert tool is not None
    assert tool["ask"] == Seats.model_json_schema()
    del agents._registry["writer"]
    agent = Agent("writer", mcp=McpTool(ask=Seats))

    @agent.step
    async def begin(ctx: Context, topic: str):
        return topic

    with pytest.raises(InvalidInput, match="asks for seats, and its first step takes topic"):
        definition(agent)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a b"),
        ("name", "a" * 129),
        ("name", 3),
        ("description", ""),
        ("description", 3),
        ("title", ""),
        ("task", "sometimes"),
        ("ask", Seats(seats=1)),
        ("ask", dict),
        ("ask", Nothing),
        ("read_only", 1),
        ("open_world", "yes"),
    ],
)
def test_values_that_mean_nothing_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        McpTool(**{field: value})
    assert caught.value.details["field"] == field


def test_an_agent_takes_a_tool_or_none() -> None:
    with pytest.raises(InvalidInput, match="McpTool"):
        Agent("writer", mcp="writer")  # type: ignore[arg-type]


def test_an_agent_of_an_earlier_release_is_a_tool_too() -> None:
    assert known_tool("writer", {"goal": "Writes."}).model_dump() == {  # type: ignore[union-attr]
        "name": "writer", "description": "Writes.", "task": "auto", "ask": None, "annotations": {},
    }  # fmt: skip
    assert known_tool("writer", {"mcp": None}) is None


def test_an_mcp_error_is_a_typed_error_with_a_code() -> None:
    error = McpError(-32050, "the lake is frozen", {"depth": 3})
    assert error.info.type is ErrorType.STEP_FAILED
    assert error.info.message == "the lake is frozen"
    assert code_of(error.info) == (-32050, {"depth": 3})
    assert code_of(from_info(error.info).info) == (-32050, {"depth": 3})
    assert code_of(InvalidInput("no").info) is None


def test_an_mcp_error_of_a_call_is_given_back_to_a_repeat_as_it_was() -> None:
    error = rebuild(record(McpError(-32050, "the lake is frozen", {"depth": 3})))
    assert isinstance(error, McpError)
    assert (error.code, error.message, error.data) == (-32050, "the lake is frozen", {"depth": 3})


@pytest.mark.parametrize("code", ["-32050", 3.5, True, None, 2**31])
def test_a_code_that_is_none_is_refused(code: Any) -> None:
    with pytest.raises(InvalidInput, match="code"):
        McpError(code, "no")
