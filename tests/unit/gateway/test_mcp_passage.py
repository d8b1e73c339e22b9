"""A message of MCP as it arrives."""

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from agent_tasks.gateway.mcp.methods import GREET, Asked
from agent_tasks.gateway.mcp.passage import arrival_of

OWN, META, HEADER = (f"00-{digit * 32}-{digit * 16}-01" for digit in "123")


@pytest.mark.parametrize(
    ("own", "meta", "header", "expected"),
    [
        (OWN, META, HEADER, OWN),
        (None, META, HEADER, META),
        (None, "nonsense", HEADER, HEADER),
        (None, None, HEADER, HEADER),
        (None, None, None, None),
    ],
)
def test_a_message_is_a_part_of_the_gateways_span_else_of_the_one_that_it_names(
    own: str | None, meta: str | None, header: str | None, expected: str | None
) -> None:
    asked = Asked(GREET, traceparent=meta)
    assert arrival_of(asked, "127.0.0.1", None, header, own).traceparent == expected
