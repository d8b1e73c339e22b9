"""Expressions that indexes of `tasks` are made of: a statement finds its rows by them where it says them the same."""

from typing import LiteralString

SKEWED: LiteralString = """
    ((created_at
        - to_timestamp(((('x' || translate("left"((id)::text, 13), '-', ''))::bit(48))::bigint)::float8 / 1000)
        ) NOT BETWEEN '-00:01:00'::interval AND '00:01:00'::interval)
"""
"""The condition that the clock by which a task's id was made was not the database's."""
ERROR_TEXT: LiteralString = (
    "to_tsvector('simple'::regconfig, (COALESCE(error ->> 'type'::text, ''::text) || ' '::text) || "
    "\"left\"(COALESCE(error ->> 'message'::text, ''::text), 4000))"
)
"""The words by which an error is found."""
