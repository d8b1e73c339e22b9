"""The identity of the caller: given at submit, it travels with the task."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.task.arguments import check_kind, is_storable, refused


class Identity(BaseModel):
    """The person or service a task acts for.

    `actors` is the chain of agents through which the request came, extended at each hop and never
    replaced (the `act` claim of RFC 8693, outermost first).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(min_length=1, max_length=256)
    """The person or service, by a name that does not change."""
    tenant: str = Field(default="", max_length=256)
    """The customer or department whose tasks it may see; empty where there are none to tell apart."""
    scopes: tuple[str, ...] = ()
    """The rights granted to it; `tasks:all` is access to all tasks of the tenant."""
    actors: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an identity from JSON, or from `tenant/subject`, or from a subject alone. Raises ValueError."""
        if text.lstrip().startswith("{"):
            return cls.model_validate_json(text)
        tenant, slash, subject = text.partition("/")
        return cls(tenant=tenant, subject=subject) if slash else cls(subject=text)

    def extended(self, actor: str) -> "Identity":
        return self.model_copy(update={"actors": (*self.actors, actor)})

    def may_access(self, owner: "Identity | None") -> bool:
        """Whether the tenant is the same, and the subject too unless the scope `tasks:all` was granted."""
        if owner is None:
            return False
        return self.tenant == owner.tenant and (self.subject == owner.subject or "tasks:all" in self.scopes)

    def may_sign_as(self, other: "Identity") -> bool:
        """Whether `other` is the same subject with no more rights, here or further down the chain of agents."""
        return (
            (self.tenant, self.subject) == (other.tenant, other.subject)
            and set(other.scopes) <= set(self.scopes)
            and other.actors[: len(self.actors)] == self.actors
        )


def check_identity(identity: Any) -> None:
    """Raise InvalidInput unless `identity` is None or an Identity whose texts Postgres can store."""
    check_kind(identity, "identity", Identity, "an Identity(subject=..., ...)")
    if identity is not None:
        for field, text in (("subject", identity.subject), ("tenant", identity.tenant)):
            if not is_storable(text):
                raise refused(f"identity.{field} must have no NUL character", text, f"identity.{field}")
