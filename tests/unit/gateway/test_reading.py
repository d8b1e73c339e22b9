"""The strict reading of JSON bodies: what means nothing, or two things, or cannot be kept, is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tasks.gateway.reading import DEEPEST, MOST_DIGITS, parse
from agent_tasks.gateway.refusals import Refused

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@given(VALUES, st.booleans())
def test_what_is_json_is_read_as_python_reads_it(value: Any, is_ascii: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=is_ascii).encode()) == value


@given(st.binary(max_size=200) | st.text(alphabet='[]{}",:\\ud0e19-. tNaI').map(str.encode))
def test_bytes_of_any_kind_are_read_or_refused(body: bytes) -> None:
    try:
        value = parse(body)
    except Refused:
        return
    assert json.loads(body) == value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
        (b'{"a": 1,}', "line 1, column 9"),
        (b"[1, 2", "line 1, column 6"),
        (b"[1] x", "line 1, column 5"),
        (b'{"a": "b', "Unterminated string starting at line 1, column 7"),
        (b'{"a": "b\\', "line 1, column 7"),
        (b"{'a': 1}", "line 1, column 2"),
        (b'{"a": "x\x00y"}', "Invalid control character at line 1, column 9"),
        (b"\x00", "line 1, column 1"),
        (b"[01]", "line 1, column 3"),
        (b"\xc2\xa0[]", "line 1, column 1"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b"[Infinity]", "Infinity is no JSON number"),
        (b"[-Infinity]", "-Infinity is no JSON number"),
        (b"[1e999]", "'1e999' is beyond what a double holds"),
        (b"[-1.5E+400]", "beyond what a double holds"),
        (b"[" + b"9" * (MOST_DIGITS + 1) + b"]", "309 digits"),
        (b"-" + b"9" * 100_000, "100,000 digits"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": "\xff"}', "not UTF-8: byte 8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        ("[1]".encode("utf-16"), "not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 1}', "The key 'a' occurs twice"),
        (b'[{"x": {"a": 1, "\\u0061": 2}}]', "The key 'a' occurs twice"),
    ],
)
def test_what_is_no_strict_json_is_refused_with_what_to_do(body: bytes, said: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(body)
    assert (caught.value.status, caught.value.type) == (400, "invalid_json")
    assert said in caught.value.detail
    assert "Send" in caught.value.detail


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (rb'{"input": {"text": "a\u0000b"}}', "input.text"),
        (rb'{"input": [1, {"text": "\ud800"}]}', "input.1.text"),
        (rb'{"input": {"text": "\uDFFF\uD800"}}', "input.text"),
        (rb'{"input": {"a\u0000": 1}}', "input"),
        (rb'{"\udead": 1}', None),
        (rb'"\u0000"', None),
    ],
)
def test_a_text_that_postgres_cannot_keep_is_named_by_its_place(body: bytes, field: str | None) -> None:
    with pytest.raises(Refused, match="NUL character or a lone surrogate") as caught:
        parse(body)
    assert caught.value.field == field


def test_escapes_that_mean_characters_are_read() -> None:
    assert parse(rb'["\ud83d\ude00", "\\u0000", "\\ud800", "\u00e9"]') == ["😀", "\\u0000", "\\ud800", "é"]


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_64_levels_are_read_and_65_are_not(opening: bytes, closing: bytes) -> None:
    parse(opening * (DEEPEST - 1) + b"[]" + closing * (DEEPEST - 1))
    with pytest.raises(Refused, match="more than 64 levels"):
        parse(opening * DEEPEST + b"[]" + closing * DEEPEST)


def test_brackets_in_texts_are_no_levels() -> None:
    text = '[{"\\' * 1000
    assert parse(json.dumps([text, [text]]).encode()) == [text, [text]]
    assert parse(b"[" + b"[]," * 1000 + b"{}]") == [[]] * 1000 + [{}]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 20_000,
        b"[" * 20_000 + b"]" * 20_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b"[" * 2_000_000,
        b'"\\' * 1_000_000 + b"[" * 100,
        b'["' + b'\\"' * 1_000_000 + b"[" * 100,
        b"[" + b"[]," * 600_000,
        b"[" + b'"a",' * 500_000,
        b"{" + b'"a":1,' * 300_000,
    ],
)
def test_a_body_that_is_made_to_take_long_is_refused_all_the_same(body: bytes) -> None:
    """A reader that calls itself would overflow its stack, one that is quadratic would run out of the test's time."""
    with pytest.raises(Refused):
        parse(body)
