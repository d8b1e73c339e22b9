"""The stages of a project in their order, merged or split into as many phases as are wanted."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from agent_tasks.bundled.planner.results import Requirement

Key = Literal[
    "discovery", "design", "foundations", "build", "integration", "verification", "pilot", "rollout", "handover"
]

_MERGES: tuple[tuple[Key, Key], ...] = (
    ("rollout", "handover"),
    ("discovery", "design"),
    ("pilot", "rollout"),
    ("build", "build"),
    ("design", "foundations"),
    ("build", "integration"),
    ("verification", "pilot"),
    ("foundations", "build"),
    ("integration", "verification"),
    ("build", "verification"),
)
"""The neighbours that become one phase where there are too many, those that cost least first."""


_SHOWN = 3
"""Parts that the name of a phase lists."""


@dataclass(slots=True)
class Stage:
    """One stage: what is done in it, which requirements it meets, and by what it is known to be done."""

    key: Key
    name: str
    goal: str
    tasks: list[str] = field(default_factory=list[str])
    requirements: list[Requirement] = field(default_factory=list[Requirement])
    done_when: list[str] = field(default_factory=list[str])
    is_followed: bool = False
    """Whether it has been split already: a second stage of its kind comes after it."""


def fitted(
    stages: Sequence[Stage], wanted: int, split: Callable[[Stage], tuple[Stage, Stage] | None]
) -> list[list[Stage]]:
    """Return the stages in `wanted` groups of neighbours; fewer where even `split` finds no more."""
    single = list(stages)
    while len(single) < wanted:
        by_size = sorted(single, key=lambda stage: (stage.key != "build", -len(stage.requirements)))
        at, halves = next(((single.index(stage), found) for stage in by_size if (found := split(stage))), (0, None))
        if halves is None:
            break
        single[at : at + 1] = halves
    groups = [[stage] for stage in single]
    while len(groups) > wanted:
        at = _seam(groups)
        groups[at : at + 2] = [[*groups[at], *groups[at + 1]]]
    return groups


def _seam(groups: Sequence[Sequence[Stage]]) -> int:
    """The place of the group to merge with the next one: the smallest of those that cost least."""
    seams = [(left[-1].key, right[0].key) for left, right in pairwise(groups)]
    for merge in _MERGES:
        places = [at for at, seam in enumerate(seams) if seam == merge]
        if places:
            return min(places, key=lambda at: sum(len(s.requirements) for s in (*groups[at], *groups[at + 1])))
    return 0


def name_of(group: Sequence[Stage]) -> str:
    """Name a phase by its stages: “Discovery, design and foundations”, “Build: orders and invoices”."""
    builds = [re.sub("^Build: ", "", stage.name) for stage in group if stage.key == "build"]
    before = [stage.name for stage in group if stage.key in ("discovery", "design", "foundations")]
    after = [stage.name for stage in group if stage.key not in ("discovery", "design", "foundations", "build")]
    if not builds:
        return _listed(before + after)
    parts = [*builds[:_SHOWN], *(["more"] if len(builds) > _SHOWN else [])]
    return _listed([*before, f"Build: {parts[0]}", *parts[1:], *after])


def _listed(names: Sequence[str]) -> str:
    names = [names[0], *(name if name.startswith("Build") else name[0].lower() + name[1:] for name in names[1:])]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
