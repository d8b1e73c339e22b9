"""Scopes of the gateway: a misspelt one is found, and others are free."""

import pytest

from agent_tasks.task.scopes import Scope, misspelt


@pytest.mark.parametrize(
    ("scope", "nearest"),
    [
        ("tasks:wirte", "tasks:write"),
        ("task:write", "tasks:write"),
        ("tasks.read", "tasks:read"),
        ("Tasks:Read", "tasks:read"),
        ("tasks:delete", ""),
        ("Admin", "admin"),
        ("admim", "admin"),
    ],
)
def test_what_looks_like_a_scope_of_the_gateway_and_is_none_is_told_with_the_nearest(scope: str, nearest: str) -> None:
    assert misspelt([*Scope, scope]) == [(scope, nearest)]


@pytest.mark.parametrize("scope", ["payments", "read", "write", "tools:search", "billing:write"])
def test_the_scopes_of_agents_are_free(scope: str) -> None:
    assert misspelt([scope]) == []
