"""How many tasks a tenant has one gateway follow."""

from contextlib import ExitStack

import pytest

from agent_tasks import Identity
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.followed import FollowedTasks
from agent_tasks.gateway.refusals import Refused


def caller(tenant: str) -> Caller:
    identity = Identity(subject="ana", tenant=tenant)
    return Caller(identity, identity)


def test_a_tenant_at_its_limit_follows_another_task_once_one_is_followed_no_more() -> None:
    followed = FollowedTasks(3)
    with followed.following(caller("acme"), 2):
        with pytest.raises(Refused, match=r"acme.*3 tasks"), followed.following(caller("acme"), 2):
            pytest.fail("four tasks are followed")
        with followed.following(caller("acme")), followed.following(caller("evil"), 3):
            pass
    with followed.following(caller("acme"), 3):
        pass


def test_a_trusted_program_and_a_gateway_without_a_limit_follow_any_number() -> None:
    with ExitStack() as stack:
        few, any_number = FollowedTasks(1), FollowedTasks(0)
        for _ in range(3):
            stack.enter_context(few.following(Caller(None, None)))
            stack.enter_context(any_number.following(caller("acme")))
