"""Endpoints: what of `AgentTasks.webhooks` registers who is told of what happens."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import uuid_utils.compat as uuid_utils

from agent_tasks.client.delivery import Delivery, find_delivery
from agent_tasks.client.endpoint import (
    Payload,
    Webhook,
    check_agents,
    check_payload,
    check_types,
    checked_overlap,
    host_of,
)
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput, InvalidState, PermissionDenied, TaskNotFound
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import webhooks as queries
from agent_tasks.task.arguments import check_flag, check_names, check_text
from agent_tasks.task.callback_secret import callback_secrets
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.task.target_url import check_target_url
from agent_tasks.task.webhook_secret import check_secret, new_secret
from agent_tasks.transitions import webhook as rows

MOST = 100
"""Endpoints for one person or service, or for the whole tenant, at most."""
MOST_OF_TENANT = 1_000
"""Endpoints of a tenant, at most: each of its events looks at all of them."""
_A_DAY = 86_400.0


class Endpoints:
    """Who is told: registered by name, told apart by tenant."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def put(
        self,
        name: str,
        url: str,
        *,
        types: Iterable[str] | None = None,
        agents: Iterable[str] | None = None,
        payload: Payload = "thin",
        ordered: bool = True,
        secret: str | None = None,
        subject: str | None = None,
        tenant: str | None = None,
        identity: Identity | None = None,
    ) -> Webhook:
        """Register an endpoint, or change the one of this name, and return it with its secret.

        `types` and `agents`: the events it is told of; None: all. `payload`: `thin` tells which task it is and how it
        stands, `full` has the task, too. `ordered`: the events of one task come one after the other. `secret`: one of
        your own, `whsec_` and base64; left out, one is made, and an existing one is kept. Another one replaces it as
        `rotate` does. `subject`: of whose tasks it is told; None: of those of the whole tenant, for which `identity`
        needs the scope `tasks:all`, and else of its own. Of tasks without an identity it is told where it was put
        without one. With another `subject`, and where an identity changes what was put without one, it has a new id,
        and what was still to be delivered is dropped. `tenant`: for a trusted program; the default is none. One that
        is disabled stays so. Raises InvalidInput, and PermissionDenied if somebody else of the tenant has the name.
        """
        tenant = _checked(name, tenant, identity)
        if subject is not None:
            check_text(subject, "subject", 256)
        values: dict[str, Any] = {
            "tenant": tenant,
            "name": name,
            "subject": _whose(subject, tenant, identity),
            "url": check_target_url(url, "url", self._deployment.settings.webhook_allow),
            "types": check_types(types),
            "agents": check_agents(agents),
            "payload": payload,
            "ordered": ordered,
            "secret": None if secret is None else check_secret(secret),
        }
        check_payload(payload)
        check_flag(ordered, "ordered")
        new = {"id": uuid_utils.uuid7(), "made": new_secret(), "overlap": _A_DAY}

        def write(connection: Connection) -> queries.WebhookRow | None:
            others = rows.others(connection, tenant, name, values["subject"])
            if others["of_subject"] >= MOST or others["of_tenant"] >= MOST_OF_TENANT:
                most = MOST if others["of_subject"] >= MOST else MOST_OF_TENANT
                raise InvalidInput(f"There are {most:,} endpoints already: change one, or remove one.", field="name")
            data = {"host": host_of(url)}
            return rows.put(connection, identity=identity, data=data, **values, **new)

        row = self._deployment.database.run(write)
        if row is None:
            raise _taken(name, identity)
        return Webhook.from_row(row, secret=True)

    def get(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> Webhook:
        """Return an endpoint, with its secret. Raises TaskNotFound, also for one that `identity` may not see."""
        return self._one(name, tenant, identity, queries.find)

    def rotate(
        self,
        name: str,
        *,
        secret: str | None = None,
        overlap: float | timedelta = _A_DAY,
        tenant: str | None = None,
        identity: Identity | None = None,
    ) -> Webhook:
        """Replace the secret by a new one, or by `secret`, and return the endpoint with it.

        For `overlap` (seconds or a timedelta, at most 30 days; default: a day) what is sent is signed with both, so
        that the receiver can be given the new one meanwhile. Raises InvalidInput, TaskNotFound.
        """
        seconds = checked_overlap(overlap)
        new = new_secret() if secret is None else check_secret(secret)
        return self._one(name, tenant, identity, lambda *which: rows.rotate(*which, secret=new, overlap=seconds))

    def enable(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> Webhook:
        """Tell an endpoint again that was disabled; what happened meanwhile takes a `replay_range`.

        Raises TaskNotFound.
        """
        return self._one(name, tenant, identity, lambda *which: rows.switch(*which, disable=False))

    def disable(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> Webhook:
        """Tell an endpoint nothing any more; what is still to be delivered is dropped. Raises TaskNotFound."""
        return self._one(name, tenant, identity, lambda *which: rows.switch(*which, disable=True))

    def remove(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> bool:
        """Remove an endpoint; what is still to be delivered is dropped.

        Returns False if there is none of this name that `identity` may see.
        """
        tenant = _checked(name, tenant, identity)
        return self._deployment.database.run(lambda connection: rows.remove(connection, tenant, name, identity))

    def ping(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> Delivery:
        """Send a `webhook.ping` to an endpoint, and to no other; returns the delivery, which tells what comes of it.

        Raises TaskNotFound, and InvalidState for an endpoint that is disabled.
        """
        tenant = _checked(name, tenant, identity)
        id = self._deployment.database.run(lambda connection: rows.ping(connection, tenant, name, identity))
        if id is None:
            self.get(name, tenant=tenant, identity=identity)
            raise InvalidState(f"The endpoint {name!r} is disabled. Enable it first.", why="disabled")
        return find_delivery(self._deployment, id, identity)

    def callback_secret(self, *, tenant: str | None = None, identity: Identity | None = None) -> str:
        """Return the secret that callbacks (`callback_url`) of a tenant's tasks are signed with.

        It is made from AGENT_TASKS_SECRET_KEY, and is another one with another key. Raises PermissionDenied for an
        `identity` without the scope `tasks:all`: it is the secret of all of the tenant's.
        """
        tenant = _tenant_of(tenant, identity)
        if identity is not None and (identity.tenant != tenant or "tasks:all" not in identity.scopes):
            raise PermissionDenied(
                f"{identity.subject!r} may not see the secret of a whole tenant's callbacks: that takes the scope "
                "'tasks:all' in it.",
                scope="tasks:all",
            )
        return callback_secrets(self._deployment.callback_keys, tenant)[0]

    def list(self, *, tenant: str | None = None, identity: Identity | None = None) -> list[Webhook]:
        """List the endpoints by name, without their secrets: all of them, or those that `identity` may see.

        `tenant`: only those of one. Raises InvalidInput.
        """
        check_names(tenant=tenant)
        check_identity(identity)
        with self._deployment.database.connection() as connection:
            found = queries.all_webhooks(connection, tenant, identity)
        return [Webhook.from_row(row, secret=False) for row in found]

    def _one(
        self,
        name: str,
        tenant: str | None,
        identity: Identity | None,
        do: Callable[[Connection, str, str, Identity | None], queries.WebhookRow | None],
    ) -> Webhook:
        of = _checked(name, tenant, identity)
        row = self._deployment.database.run(lambda connection: do(connection, of, name, identity))
        if row is None:
            raise TaskNotFound(
                f"No endpoint is named {name!r}, or it belongs to another. `webhooks.list()` has yours.", field="name"
            )
        return Webhook.from_row(row, secret=True)


def _checked(name: str, tenant: str | None, identity: Identity | None) -> str:
    """Return the tenant that is meant. Raises InvalidInput."""
    check_text(name, "name", 200, printable=True)
    return _tenant_of(tenant, identity)


def _tenant_of(tenant: str | None, identity: Identity | None) -> str:
    check_names(tenant=tenant)
    check_identity(identity)
    if tenant is not None:
        return tenant
    return identity.tenant if identity is not None else ""


def _whose(subject: str | None, tenant: str, identity: Identity | None) -> str | None:
    """Return of whose tasks an endpoint is told. Raises PermissionDenied where `identity` may not see those."""
    if identity is None or (tenant == identity.tenant and "tasks:all" in identity.scopes):
        return subject
    if tenant == identity.tenant and subject in (None, identity.subject):
        return identity.subject
    raise PermissionDenied(
        f"{identity.subject!r} may not be told of the tasks of others: that takes the scope 'tasks:all' there.",
        scope="tasks:all",
    )


def _taken(name: str, identity: Identity | None) -> PermissionDenied:
    who = identity.subject if identity else None
    return PermissionDenied(
        f"{who!r} may not change the endpoint {name!r}: somebody else of the tenant has that name. Use another one, or "
        "ask as its owner, or with the scope 'tasks:all' in the tenant.",
        webhook=name,
    )
