"""Shapes: what is written comes back equal, or is refused with its field named."""

import dataclasses
import enum
import json
from collections import OrderedDict, deque
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    VERSION,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    PrivateAttr,
    SecretBytes,
    SecretStr,
    computed_field,
    field_serializer,
)

from agent_tasks.errors import InvalidInput
from agent_tasks.task.payloads import encode, stored
from agent_tasks.task.shapes import Shape


class Aliased(BaseModel):
    order_id: int = Field(alias="orderId")


class ReadByAnother(BaseModel):
    number: int = Field(validation_alias=AliasChoices("orderNumber", "no"))


class OptionalByAnother(BaseModel):
    number: int = Field(default=0, validation_alias="no")


class WrittenAsAnother(BaseModel):
    number: int = Field(default=0, serialization_alias="No")


class Crossed(BaseModel):
    a: int = Field(alias="b")
    b: int = Field(alias="c")


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    at: datetime
    names: tuple[str, ...] = ()


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    n: int

    @computed_field
    def double(self) -> int:
        return 2 * self.n


class Growing(BaseModel, extra="allow"):
    n: int

    @computed_field
    def double(self) -> int:
        return 2 * self.n


class Parsed(BaseModel):
    numbers: Json[list[int]]


class Binary(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    data: bytes


class Cached(BaseModel):
    n: int
    _seen: list[int] = PrivateAttr(default_factory=list[int])


class Message(BaseModel):
    text: str


class ToolMessage(Message):
    tool: str = "calculator"


class OpenMessage(BaseModel, extra="allow"):
    text: str


class OpenToolMessage(OpenMessage):
    tool: str = "calculator"


class Chat(BaseModel):
    messages: list[Message]


class Login(BaseModel):
    password: SecretStr


class Hidden(BaseModel):
    token: str = Field(default="", exclude=True)


class Rounded(BaseModel):
    ratio: float

    @field_serializer("ratio")
    def _round(self, value: float) -> float:
        return round(value, 1)


class Color(enum.Enum):
    RED = "red"


class Place(enum.Enum):
    HERE = (1, 2)


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


def since(*version: int) -> pytest.MarkDecorator:
    """Skips on an older pydantic, which cannot give the value back: there it is refused."""
    installed = tuple(map(int, VERSION.split(".")[:2]))
    return pytest.mark.skipif(installed < version, reason=f"pydantic {VERSION} cannot do this")


READS_NAMES = since(2, 11)  # where an alias can be told to be optional when reading


def _named(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)


def cached() -> Cached:
    made = Cached(n=1)
    made._seen.append(1)
    return made


Revealed = Annotated[SecretStr, PlainSerializer(lambda secret: secret.get_secret_value())]

KEPT: list[Any] = [
    (Aliased, Aliased(orderId=7)),
    pytest.param(ReadByAnother, ReadByAnother.model_validate({"orderNumber": 4}), marks=READS_NAMES),
    pytest.param(OptionalByAnother, OptionalByAnother.model_validate({"no": 4}), marks=READS_NAMES),
    (WrittenAsAnother, WrittenAsAnother(number=4)),
    (Crossed, Crossed.model_validate({"b": 1, "c": 2})),
    (Strict, Strict(at=datetime(2026, 1, 2, tzinfo=UTC), names=("a", "b"))),
    (Computed, Computed(n=2)),
    (Growing, Growing.model_validate({"n": 2, "more": [1]})),
    (Parsed, Parsed.model_validate({"numbers": "[1, 2]"})),
    pytest.param(Binary, Binary(data=b"\x00\xff"), marks=since(2, 9)),  # which has val_json_bytes
    (Cached, cached()),
    pytest.param(  # before, the first that fits is taken for the JSON
        list[Message | ToolMessage], [ToolMessage(text="a"), Message(text="b")], marks=since(2, 8)
    ),
    (Revealed, SecretStr("hunter2")),
    (Color, Color.RED),
    (Point, Point(1.5)),
    (tuple[int, ...], (1, 2)),
    (set[str], {"red", "green", "blue"}),
    (frozenset[date], frozenset({date(2026, 1, 2)})),
    (deque[int], deque([1, 2])),
    (dict[int, str], {1: "a", 22: "b"}),
    (dict[date, float], {date(2026, 1, 2): 1e16}),
    (timedelta, timedelta(days=1, microseconds=1)),
    (time, time(1, 2, 3, 4)),
    (Decimal, Decimal("1.50")),
    (UUID, UUID(int=7)),
    (PurePosixPath, PurePosixPath("/a")),
    (Literal["a", 1], 1),
    (int | str, "1"),
    (datetime | None, None),
    (list[float], [1e16, -0.0, 5e-324]),
    (OrderedDict[str, int], OrderedDict({"a": 1, "bb": 2})),
]


@pytest.mark.parametrize(("hint", "value"), KEPT, ids=_named)
def test_a_value_comes_back_equal_and_of_its_type(hint: Any, value: Any) -> None:
    shape = Shape(hint)
    text, given_on = shape.write(value, "state")
    for read in (given_on, shape.read(stored(text)), shape.read(json.loads(text))):
        assert type(read) is type(value)
        assert read == value or isinstance(value, Cached)
        assert repr(read) == repr(value) or isinstance(value, Strict | set | frozenset)


REFUSED: list[Any] = [
    (SecretStr, SecretStr("hunter2"), "state", "secret"),
    (SecretBytes, SecretBytes(b"hunter2"), "state", "secret"),
    (dict[str, Login], {"a": Login(password=SecretStr("hunter2"))}, "state.a.password", "secret"),
    (list[Message], [Message(text="a"), ToolMessage(text="b")], "state[1].tool", "lost"),
    (list[OpenMessage], [OpenToolMessage(text="b")], "state[0].tool", "lost"),
    (Hidden, Hidden(token="t"), "state.token", "comes back as ''"),
    (Rounded, Rounded(ratio=0.123), "state.ratio", "0.1"),
    (Place, Place.HERE, "state", "not read back"),
    (dict[tuple[int, int], str], {(1, 2): "a"}, "state", "not read back"),
    (dict[str, str | bytes], {"data": b"a"}, "state.data", "a bytes and comes back as a str"),
    (OrderedDict[str, int], OrderedDict({"bb": 1, "a": 2}), "state", "another order"),
    pytest.param(dict[int | str, int], {1: 1, "1": 2}, "state.1", "twice", marks=since(2, 9)),  # before: of "state"
]  # fmt: skip


@pytest.mark.parametrize(("hint", "value", "field", "said"), REFUSED, ids=_named)
def test_a_value_that_would_come_back_as_another_is_refused_with_its_field_named(
    hint: Any, value: Any, field: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        Shape(hint).write(value, "state")
    assert caught.value.details["field"].startswith(field)
    assert said in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("hint", [Any, dict[str, Any], dict], ids=str)
@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ((1, (2,)), [1, [2]]),
        ({"red"}, ["red"]),
        (date(2026, 1, 2), "2026-01-02"),
        (Point(1), {"x": 1, "y": 0}),
        (Aliased(orderId=1), {"order_id": 1}),
        (Computed(n=2), {"n": 2, "double": 4}),
        (Chat(messages=[ToolMessage(text="a")]), {"messages": [{"text": "a", "tool": "calculator"}]}),
        (Rounded(ratio=0.123), {"ratio": 0.1}),
        (Hidden(token="t"), {}),
        ({1: {2: Color.RED}}, {"1": {"2": "red"}}),
    ],
)
def test_what_no_annotation_says_the_type_of_is_plain_json(hint: Any, value: Any, plain: Any) -> None:
    text, given_on = Shape(hint).write({"value": value}, "state")
    assert given_on == stored(text) == {"value": plain}


@pytest.mark.parametrize("hint", [Any, dict[str, Any]])
@pytest.mark.parametrize(
    ("value", "field"),
    [
        (SecretStr("hunter2"), "state.value"),
        ([Login(password=SecretStr("hunter2"))], "state.value[0].password"),
        ({"a": {1: 2, "1": 3}}, "state.value.a"),
        ([float("nan")], "state.value[0]"),
    ],
    ids=_named,
)
def test_nothing_is_masked_or_lost_where_no_annotation_says_the_type(hint: Any, value: Any, field: str) -> None:
    for write in (lambda v: Shape(hint).write(v, "state"), lambda v: encode(v, "state")):
        with pytest.raises(InvalidInput) as caught:
            write({"value": value})
        assert caught.value.details["field"].startswith(field)
        assert "hunter2" not in caught.value.message


def test_fields_of_subclasses_are_in_the_json_of_a_result() -> None:
    assert stored(encode(Chat(messages=[ToolMessage(text="a")]), "result")) == {
        "messages": [{"text": "a", "tool": "calculator"}]
    }


def test_a_strict_model_is_read_from_json_that_somebody_sent() -> None:
    text, read = Shape(Strict).write({"at": "2026-01-02T00:00:00Z"}, "input")
    assert read == Strict(at=datetime(2026, 1, 2, tzinfo=UTC)) == Shape(Strict).read(stored(text))


@READS_NAMES
def test_what_0_1_0_wrote_by_field_names_is_read() -> None:
    assert Shape(Aliased).read({"order_id": 7}) == Aliased(orderId=7)


class Everything(BaseModel):
    whole: int
    number: float = Field(allow_inf_nan=False)
    when: datetime
    span: timedelta
    either: int | str | None
    names: tuple[str, ...]
    by_day: dict[date, Decimal]
    colors: set[Color]
    inner: "Everything | None" = None
    anything: Any = None


text_kept = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
everything = st.builds(
    Everything,
    number=st.floats(allow_nan=False, allow_infinity=False),
    when=st.datetimes(timezones=st.sampled_from([UTC, None])),
    either=st.integers() | text_kept | st.none(),
    names=st.lists(text_kept).map(tuple),
    by_day=st.dictionaries(st.dates(), st.decimals(allow_nan=False, allow_infinity=False), max_size=3),
    inner=st.none(),
    anything=st.none() | st.integers() | st.lists(text_kept),
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # of building two such large values, on a machine that is busy
@given(everything, everything)
def test_any_value_of_plain_types_comes_back(outer: Everything, inner: Everything) -> None:
    value = outer.model_copy(update={"inner": inner})
    text, given_on = Shape(Everything).write(value, "state", limit=10**9)
    assert given_on == Shape(Everything).read(stored(text)) == value
