"""How many open tasks a tenant may add before they are counted again."""

from agent_tasks.gateway.open_tasks import OpenTasks


class Tenants:
    """Open tasks as Postgres would count them, and how often it was asked."""

    def __init__(self, most: int, open: int = 0) -> None:
        self.most, self.open, self.counts, self.now = most, {"acme": open}, 0, 0.0
        self.limit = OpenTasks(most, self._count, lambda: self.now)

    def _count(self, tenant: str) -> int:
        self.counts += 1
        return min(self.open.get(tenant, 0), self.most)

    def submit(self, tenant: str = "acme") -> bool:
        accepted = self.limit.take(tenant)
        if accepted:
            self.open[tenant] = self.open.get(tenant, 0) + 1
        return accepted


def test_a_tenant_fills_its_limit_to_the_last_task_and_no_further() -> None:
    for most in (1, 2, 9, 10, 11, 250):
        tenants = Tenants(most)
        assert [tenants.submit() for _ in range(most + 3)] == [True] * most + [False] * 3


def test_far_from_the_limit_one_count_serves_for_a_tenth_of_the_room() -> None:
    tenants = Tenants(10_000, open=5_000)
    for _ in range(501):
        assert tenants.submit()
    assert tenants.counts == 1
    assert tenants.submit()
    assert tenants.counts == 2


def test_a_count_serves_for_a_second() -> None:
    tenants = Tenants(10_000)
    tenants.submit()
    tenants.open["acme"] = 10_000  # by other gateways
    tenants.now = 0.9
    assert tenants.submit()
    tenants.now = 1.1
    assert not tenants.submit()


def test_a_tenant_at_its_limit_gets_in_as_soon_as_a_task_has_ended() -> None:
    tenants = Tenants(100, open=100)
    assert not tenants.submit()
    tenants.open["acme"] -= 1
    assert tenants.submit()
    assert not tenants.submit()


def test_each_tenant_has_room_of_its_own() -> None:
    tenants = Tenants(20, open=20)
    assert not tenants.submit("acme")
    assert tenants.submit("umbrella")
    assert not tenants.submit("acme")
