"""Problems of commands: an exit code, one line, and what to do."""

import json
import sys
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any
from uuid import UUID

import psycopg
import redis

from agent_tasks.cli.advice import advice
from agent_tasks.cli.lines import broken_for, with_commands_apart
from agent_tasks.doorbell.redis_url import remedy
from agent_tasks.errors import AgentTaskError, ErrorInfo, PermissionDenied, TaskNotFound
from agent_tasks.store.errors import Transient, classified


class ExitCode(IntEnum):
    OK = 0
    ENDED_BADLY = 1
    """The task ended, but not as completed; or something is wrong."""
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    INTERRUPTED = 130
    TIMEOUT = 124


@dataclass(frozen=True)
class Problem:
    """A command's problem; `fields` are those of ErrorInfo that JSON shows besides `type` and `message`."""

    code: ExitCode
    type: str
    message: str
    action: str = ""
    fields: dict[str, Any] = field(default_factory=dict[str, Any])

    def show(self, *, as_json: bool) -> None:
        """Print the problem on stderr."""
        if as_json:
            print(json.dumps({**self.fields, "type": self.type, "message": self.message}), file=sys.stderr)
        else:
            end = "" if self.message.endswith((".", "!", "?")) else "."
            if sys.stderr.isatty():
                print(broken_for(sys.stderr, f"error: {self.message}{end}"), file=sys.stderr)
                for line in with_commands_apart(self.action):
                    print(line if line.startswith(" ") else broken_for(sys.stderr, line), file=sys.stderr)
            else:
                print(f"error: {self.message}" + (f"{end} {self.action}" if self.action else ""), file=sys.stderr)


class Failed(Exception):
    """Ends a command with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def problem_of(error: BaseException) -> Problem | None:
    """Return the problem that an error means; None for a bug of ours, which keeps its traceback."""
    match error:
        case Failed():
            return error.problem
        case TaskNotFound() | PermissionDenied():
            return _typed(error, ExitCode.NOT_FOUND)
        case AgentTaskError():
            return _typed(error, ExitCode.USAGE)
        case TimeoutError() if not error.errno:  # ours, not the system's
            return Problem(ExitCode.TIMEOUT, "timeout", _one_line(error))
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return _away("The database has no tables, or outdated ones", "Run agent-tasks migrate.")
        case psycopg.errors.InsufficientPrivilege():
            return Problem(
                ExitCode.ENDED_BADLY,
                "permission_denied",
                f"The user of the database may not do this: {error.diag.message_primary}.",
                "agent-tasks doctor says what it lacks; agent-tasks migrate --sql --from head --grant USER prints it.",
            )
        case psycopg.errors.QueryCanceled():
            return Problem(
                ExitCode.ENDED_BADLY,
                "upstream_unavailable",
                f"Postgres ended a statement: {error.diag.message_primary}.",
                "Raise statement_timeout for the user of the database (ALTER ROLE … SET statement_timeout = '30s').",
            )
        case psycopg.Error() if isinstance(classified(error), Transient):
            return _away(
                f"Cannot reach Postgres: {_one_line(error)}",
                "Start it, or set AGENT_TASKS_DATABASE_URL. agent-tasks doctor shows the settings in force.",
            )
        case redis.RedisError():
            to_do = remedy(error) or "start it, or set AGENT_TASKS_REDIS_URL"
            return _away(
                f"Cannot reach Redis: {_one_line(error)}",
                f"{to_do[0].upper()}{to_do[1:]}. agent-tasks doctor shows the settings in force.",
            )
        case _:
            return None


def ended_badly(task_id: UUID, status: str, error: ErrorInfo | None) -> Problem:
    """Return the problem of a task that ended, but not as completed."""
    if error is None:
        return Problem(ExitCode.ENDED_BADLY, status, f"Task {task_id} ended as {status}.")
    message = f"Task {task_id} ended as {status}: {error.message}"
    fields = error.model_dump(mode="json")
    return Problem(ExitCode.ENDED_BADLY, str(error.type), message, advice(task_id, error), fields)


def _typed(error: AgentTaskError, code: ExitCode) -> Problem:
    info = error.info
    return Problem(code, str(info.type), info.message, fields=info.model_dump(mode="json"))


def _away(message: str, action: str) -> Problem:
    fields = {"retryable": True, "retry_after": None, "details": {}, "checkpoint": None, "suggested_action": "retry"}
    return Problem(ExitCode.UNREACHABLE, "upstream_unavailable", f"{message.rstrip('.')}.", action, fields)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
