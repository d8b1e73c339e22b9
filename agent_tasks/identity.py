"""Who asked: the identity that enters at submit and travels with the task."""

from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.errors import PermissionDenied


class Identity(BaseModel):
    """The person or service a task acts for.

    `actors` is the chain of agents through which the request came, extended at each hop and never
    replaced (the `act` claim of RFC 8693, outermost first).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(min_length=1, max_length=256)
    tenant: str = Field(default="", max_length=256)
    scopes: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()

    def extended(self, actor: str) -> "Identity":
        return self.model_copy(update={"actors": (*self.actors, actor)})

    def may_access(self, owner: "Identity | None") -> bool:
        """Same tenant, and the same subject unless the scope `tasks:all` was granted."""
        if owner is None:
            return False
        return self.tenant == owner.tenant and (self.subject == owner.subject or "tasks:all" in self.scopes)

    def check_access(self, owner: "Identity | None", task_id: object) -> None:
        """Raise PermissionDenied where this identity may not touch a task of `owner`."""
        if not self.may_access(owner):
            raise PermissionDenied(
                f"{self.subject!r} may not access task {task_id}: it belongs to another identity. "
                "Ask as its owner, or with the scope 'tasks:all' in its tenant.",
                task_id=str(task_id),
            )
