"""Which shard a tenant's tasks are on, past what one Postgres carries: rendezvous hashing, and how evenly it spreads.

A shard is a deployment of its own: a Postgres, a Redis, its workers. In a program it is one `AgentTasks(settings)`.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TENANTS, SEED = 2_000, 7


@dataclass(frozen=True)
class Routing:
    """Finds a tenant's shard from the names of the shards alone; `pinned` tenants are where they were put."""

    shards: Sequence[str]
    pinned: Mapping[str, str] = field(default_factory=dict[str, str])

    def shard_of(self, tenant: str) -> str:
        """The shard that scores highest: without a table, the same everywhere, and moving few when one is added."""
        return self.pinned.get(tenant) or max(self.shards, key=lambda shard: _score(shard, tenant))


def _score(shard: str, tenant: str) -> bytes:
    return hashlib.blake2b(f"{shard}/{tenant}".encode(), digest_size=8).digest()


@dataclass(frozen=True)
class Spread:
    """How evenly tenants lie: loads are multiples of a shard's mean, `moved` is the part of all load."""

    fullest: float
    """The load of the fullest shard."""
    fullest_pinned: float
    """The same, where the tenants that are heavier than a tenth of a shard were placed by hand."""
    pinned: int
    heaviest: float
    """The load of the heaviest tenant, in the same measure: no placing does better than this."""
    moved: float
    """When one shard is added."""


def log_normal_tenants(sigma: float, tenants: int = TENANTS) -> dict[str, float]:
    """Each tenant's part of all load."""
    draw = random.Random(SEED)
    loads = {f"tenant-{number}": draw.lognormvariate(0, sigma) for number in range(tenants)}
    total = sum(loads.values())
    return {tenant: load / total for tenant, load in loads.items()}


def simulate(loads: Mapping[str, float], count: int) -> Spread:
    routing, larger = Routing(_names(count)), Routing(_names(count + 1))
    pinned = Routing(routing.shards, _pin(loads, routing.shards))
    moved = sum(load for tenant, load in loads.items() if routing.shard_of(tenant) != larger.shard_of(tenant))
    heaviest = max(loads.values()) * count
    return Spread(_fullest(loads, routing), _fullest(loads, pinned), len(pinned.pinned), heaviest, moved)


def _names(count: int) -> list[str]:
    return [f"shard-{number}" for number in range(count)]


def _fullest(loads: Mapping[str, float], routing: Routing) -> float:
    on = dict.fromkeys(routing.shards, 0.0)
    for tenant, load in loads.items():
        on[routing.shard_of(tenant)] += load
    return max(on.values()) * len(on)


def _pin(loads: Mapping[str, float], shards: Sequence[str]) -> dict[str, str]:
    """The heavy tenants, the heaviest first, each to the shard that has least; the others go by their hash."""
    heavy = {tenant: load for tenant, load in loads.items() if load > 0.1 / len(shards)}
    hashed = Routing(shards)
    on = dict.fromkeys(shards, 0.0)
    for tenant, load in loads.items():
        if tenant not in heavy:
            on[hashed.shard_of(tenant)] += load
    pinned: dict[str, str] = {}
    for tenant, load in sorted(heavy.items(), key=lambda item: -item[1]):
        pinned[tenant] = min(on, key=lambda shard: on[shard])
        on[pinned[tenant]] += load
    return pinned
