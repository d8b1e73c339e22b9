"""Stage four: the tenant's rate and open tasks, and the budget of the request."""

from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.arrival import Arrival, Caller
from agent_tasks.gateway.bodies import BudgetBody
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.idempotency import key_of
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.stages.authenticate import CONSOLE
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity
from agent_tasks.transitions import idempotency

_TRY_AGAIN_SECONDS = 5
"""When a tenant with too many open tasks may look again."""


def limit(gate: Gate, caller: Caller, arrival: Arrival) -> dict[str, str]:
    """The headers that say what is left of the tenant's rate. Raises Refused (429) where a limit is reached.

    A trusted program has no tenant, and no limits. A request whose idempotency key is known opens no task.
    """
    if not caller.is_limited:
        return {}
    # whoever has the URL of a hook is not told whose it is
    named = "This hook's tenant" if caller.hook else f"The tenant {caller.tenant!r}"
    # people who look at what their programs do are not kept from it by these, nor the other way round
    bucket = f"{caller.tenant}\n{CONSOLE}" if arrival.door == CONSOLE else caller.tenant
    headers = _take(gate, bucket, named)
    identity = caller.identity
    if arrival.operation.opens and identity is not None and not _has_room(gate, caller.tenant):
        key = key_of(arrival.idempotency_key)
        if key is None or not _is_known(gate, identity, key):
            raise _too_many_open(gate, caller.tenant)
    return headers


def budget_of(given: BudgetBody | None) -> Budget | None:
    """The budget that a request asks for. Raises InvalidInput that names the amount which is none."""
    if given is None:
        return None
    try:
        return Budget(**given.model_dump())
    except InvalidInput as error:
        field = f"budget.{error.details['field']}"
        raise InvalidInput(error.message.replace(f"Budget({error.details['field']}=)", field), field=field) from None


def _take(gate: Gate, bucket: str, named: str) -> dict[str, str]:
    if gate.rate is None:
        return {}
    allowance = gate.rate.take(bucket)
    if not allowance.allowed:
        raise Refused(
            429,
            "rate_limited",
            "Too many requests",
            f"{named} has used up its {allowance.rate} requests. Try again in {allowance.retry_after_seconds} s.",
            headers=allowance.headers,
        )
    return allowance.headers


def _has_room(gate: Gate, tenant: str) -> bool:
    return gate.open_tasks is None or gate.open_tasks.take(tenant)


def _is_known(gate: Gate, identity: Identity, key: str) -> bool:
    with gate.client.database.connection() as connection:
        return idempotency.is_kept(connection, tenant=identity.tenant, subject=identity.subject, key=key)


def _too_many_open(gate: Gate, tenant: str) -> Refused:
    return Refused(
        429,
        "too_many_open_tasks",
        "Too many open tasks",
        f"The tenant {tenant!r} has {gate.settings.gateway_open_tasks} tasks that have not ended, which is the most "
        "that it may have (AGENT_TASKS_GATEWAY_OPEN_TASKS). Try again when some have ended, or cancel some.",
        headers={"Retry-After": str(_TRY_AGAIN_SECONDS)},
    )
