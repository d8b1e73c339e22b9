"""Access to a task, decided by its row in Postgres."""

from typing import Any, LiteralString
from uuid import UUID

from agent_tasks.errors import TaskNotFound
from agent_tasks.store.rows import Row
from agent_tasks.task.identity import Identity
from agent_tasks.task.scopes import Scope


def viewer_of(identity: Identity | None) -> Identity | None:
    """The identity by whose rights levers and searches are limited; None: a trusted program, or the scope `admin`."""
    return None if identity is not None and Scope.ADMIN in identity.scopes else identity


def may_see(identity: Identity | None, row: Row) -> bool:
    """Whether a task's row, as Postgres has it, is for `identity`; None is a trusted program."""
    return identity is None or identity.may_access(
        Identity.model_validate(row["identity"]) if row["identity"] else None
    )


MAY_SEE: LiteralString = """
    (%(viewer)s::text IS NULL OR tasks.identity IS NOT NULL AND tasks.tenant = %(viewer_tenant)s
        AND (%(sees_all)s OR tasks.identity ->> 'subject' = %(viewer)s))
"""
"""The condition that `may_see` is of a row, within a statement; its parameters are those of `viewer`."""


def viewer(identity: Identity | None) -> dict[str, Any]:
    """The parameters of a condition of whom `identity` may see."""
    return {
        "viewer": identity.subject if identity else None,
        "viewer_tenant": identity.tenant if identity else None,
        "sees_all": identity is not None and "tasks:all" in identity.scopes,
    }


def not_found(task_id: UUID, identity: Identity | None) -> TaskNotFound:
    """The same for a task that is not there and for one that `identity` may not see."""
    if identity is None:
        return TaskNotFound(f"No task {task_id}: it never existed, or was purged after its retention.")
    return TaskNotFound(
        f"No task {task_id} that {identity.subject!r} may see: it never existed, was purged after its retention, or "
        "belongs to another. Ask as its owner, or with the scope 'tasks:all' in its tenant."
    )
