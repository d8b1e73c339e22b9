"""Errors of Postgres: it is away, rivals were in the way, or something is wrong with one statement."""

from typing import Any, Self

import psycopg

_AWAY = (
    "08",  # connection exception
    "57P",  # operator intervention: it shuts down, crashed, or is starting
    "25006",  # read only: a standby, or what was the primary until now
    "25P03",  # the session stood still within a transaction, and was ended
    "53100",  # its disk is full
    "53300",  # it has no connection left
    "40003",  # whether the statement was completed is unknown
)
_CONTENTION = (
    "40001",  # not serializable
    "40P01",  # a deadlock
    "55P03",  # a lock that was not to be had in time
)


class Transient(psycopg.OperationalError):
    """An error that is no fault of the statement: it may be tried again, within a bound."""

    sqlstate: Any = None

    @classmethod
    def of(cls, error: Exception) -> Self:
        found = cls(str(error))
        found.sqlstate = getattr(error, "sqlstate", None)
        return found


class ServerAway(Transient):
    """Raised where Postgres does not answer, is going, or is no primary: try again later, on a new connection."""


class Contention(Transient):
    """Raised where rivals are in the way (a deadlock, a locked row, a failed serialization): try again at once."""


def classified(error: psycopg.Error) -> psycopg.Error:
    """The ServerAway or Contention that `error` is; `error` itself where it is one of its statement alone.

    Those of a statement are all others, a `statement_timeout` (57014) and a program limit (54000) among them: to
    try again would change nothing. Codes: PostgreSQL, Appendix A.
    """
    if isinstance(error, Transient):
        return error
    state = error.sqlstate
    if state is None:  # psycopg's own word: there was no answer, or the connection is closed
        is_away = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return ServerAway.of(error) if is_away else error
    if state.startswith(_AWAY):
        return ServerAway.of(error)
    return Contention.of(error) if state in _CONTENTION else error
