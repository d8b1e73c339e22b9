"""The stages of a project, filled with what a text asks for."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from agent_tasks.bundled.planner.reading import Reading, counted
from agent_tasks.bundled.planner.results import Requirement
from agent_tasks.bundled.planner.stages import Key, Stage

_GROUPS = 3
"""Parts that the building is divided into where no number of phases is asked for."""
_FOUNDATION = frozenset({"data", "access"})


def project_stages(found: Reading, subject: str) -> list[Stage]:
    functional = [r for r in found.requirements if r.kind == "functional"]
    qualities = [r for r in found.requirements if r.kind == "non_functional"]
    linked = [r for r in functional if r.category == "integration"]
    base = [r for r in functional if r.category in _FOUNDATION and len(functional) > 3]
    rest = [r for r in functional if r not in linked and r not in base]
    if not rest:
        rest, base = base, []
    systems = [actor.name for actor in found.actors if actor.kind == "system"]
    people = [actor.name for actor in found.actors if actor.kind == "person"]
    users = f"{people[0]}s" if people else "users"
    stages = [_discovery(found, people), _design(found, systems), _foundations(base), *_builds(rest, subject)]
    if linked or systems:
        stages.append(_integration(linked, systems[:6]))
    return [*stages, _verification(qualities), *_release(found, users)]


def _foundations(requirements: Sequence[Requirement]) -> Stage:
    return Stage(
        "foundations",
        "Foundations",
        "What everything else stands on works.",
        [
            "Set up environments, delivery and automatic tests, with one thin path through all parts.",
            *_doing(requirements),
        ],
        list(requirements),
        ["A change reaches a test environment by itself, with its tests."],
    )


def _integration(requirements: Sequence[Requirement], systems: Sequence[str]) -> Stage:
    real = [f"Try the real {system}, no longer its stand-in, errors and time-outs included." for system in systems]
    return Stage(
        "integration",
        "Integration",
        "It works with the systems around it.",
        [*_doing(requirements), *real],
        list(requirements),
        [f"A test from end to end uses {', '.join(systems)}."] if systems else [],
    )


def _verification(qualities: Sequence[Requirement]) -> Stage:
    tasks = [f"Show by a test: {_with_id(requirement)}" for requirement in qualities]
    return Stage(
        "verification",
        "Verification",
        "What was promised is shown.",
        tasks or ["Run the acceptance tests of all phases again, together, on data of the real size."],
        list(qualities),
        ["Each must has a test that passes."],
    )


def _release(found: Reading, users: str) -> list[Stage]:
    dates = [f"Keep the date: {limit.text}" for limit in found.constraints if limit.kind == "deadline"][:3]
    return [
        Stage(
            "pilot",
            "Pilot",
            "It has worked for a few before it is for all.",
            [f"Let a few {users} do their real work with it, and collect what hinders them."],
            done_when=[f"The {users} of the pilot would not go back."],
        ),
        Stage(
            "rollout",
            "Rollout",
            f"All {users} have it.",
            [*_moved(found), "Roll it out in steps, each of which can be taken back.", *dates],
            done_when=["Taking it back has been tried.", f"All {users} work with it."],
        ),
        Stage(
            "handover",
            "Hand-over",
            "Somebody looks after it.",
            ["Hand over operation: monitoring, alerts, documentation, and who is called."],
            done_when=["Those who run it have handled one failure by themselves."],
        ),
    ]


def _discovery(found: Reading, people: Sequence[str]) -> Stage:
    tasks = [f"Answer: {question}" for question in found.questions[:10]]
    if more := len(found.questions) - 10:
        tasks += [f"Answer the {counted(more, 'other open question')}."] if more > 0 else []
    tasks.append(f"Agree on what is in and what is out{' with ' + ', '.join(people[:4]) if people else ''}.")
    done = ["Each open question has an answer, or a name and a date."] if found.questions else []
    musts = [r for r in found.requirements if r.priority == "must"]
    if musts:
        done.append(f"Whoever pays has confirmed the {counted(len(musts), 'must')}.")
    return Stage(
        "discovery",
        "Discovery",
        "It is known what is wanted, and by whom.",
        tasks,
        [],
        done or ["The scope is written down and confirmed."],
    )


def _design(found: Reading, systems: Sequence[str]) -> Stage:
    tasks = [f"Settle {r.id}: {r.problem}" for r in found.requirements if r.problem][:10]
    tasks += [f"Keep to the given: {c.text}" for c in found.constraints if c.kind in ("technology", "legal")][:6]
    tasks += [f"Agree on the interface with {system}, and make a stand-in for it." for system in systems[:6]]
    tasks.append("Sketch parts, data and interfaces, and have the sketch looked at.")
    done = ["Each requirement can be decided by a test."]
    if systems:
        done.append(f"The interfaces with {', '.join(systems[:6])} are written down.")
    return Stage("design", "Design", "It is known how it will work.", tasks, [], done)


def _builds(requirements: Sequence[Requirement], subject: str) -> list[Stage]:
    """The parts to build, by section where the text has several, else by what they are about; needed ones first."""
    if not requirements:
        task = (
            f"Build the smallest version of {subject} that one of its users can do something with, then the next part."
        )
        return [
            Stage("build", f"Build: {subject}", "It does what it is for.", [task], [], ["It has been shown to a user."])
        ]
    sections = {requirement.section for requirement in requirements}
    groups: defaultdict[str, list[Requirement]] = defaultdict(list)
    for requirement in requirements:
        groups[(requirement.section if len(sections) > 1 else None) or requirement.category].append(requirement)
    while len(groups) > _GROUPS and min(map(len, groups.values())) * 2 < len(requirements) / len(groups):
        small = min(groups, key=lambda name: len(groups[name]))
        rest = groups.pop(small)
        groups[min(groups, key=lambda name: len(groups[name]))] += rest
    return _sequenced([_build(name, members) for name, members in groups.items()])


def _sequenced(stages: Sequence[Stage]) -> list[Stage]:
    """Put what others need before them, as far as they do not need each other."""
    left, done = list(stages), list[Stage]()
    while left:
        free = next(
            (stage for stage in left if not any(_needs(stage, other) for other in left if other is not stage)), left[0]
        )
        left.remove(free)
        done.append(free)
    return done


def _needs(stage: Stage, other: Stage) -> bool:
    names = {id for requirement in stage.requirements for id in requirement.depends_on}
    return any(requirement.id in names for requirement in other.requirements)


def _build(name: str, requirements: Sequence[Requirement]) -> Stage:
    musts_first = sorted(requirements, key=lambda r: ("must", "should", "unstated", "could").index(r.priority))
    name = "core" if name == "behaviour" else name
    said = name if any(c.isupper() for c in name[1:2]) else name[0].lower() + name[1:]
    return Stage(
        "build",
        f"Build: {said}",
        "It does what is asked for.",
        _doing(musts_first),
        musts_first,
    )


_SECOND: dict[Key, Stage] = {
    "design": Stage(
        "design",
        "Prototype",
        "The riskiest part has been tried.",
        ["Build the riskiest part as a prototype, look at it with those who asked for it, and throw it away."],
        done_when=["Those who asked for it have seen the riskiest part work."],
    ),
    "verification": Stage(
        "verification",
        "Load and failure tests",
        "It holds under load, and when something around it fails.",
        ["Put on it the load of its busiest hour, and take away each server and each system around it in turn."],
        done_when=["It answers under that load, and comes back from each failure without help."],
    ),
    "rollout": Stage(
        "rollout",
        "Completion",
        "The old way has ended.",
        ["Find out who still works the old way, and why; then end it."],
        done_when=["Nobody has worked the old way for a week."],
    ),
    "handover": Stage(
        "handover",
        "Review",
        "It is known what it has brought.",
        ["Compare what it was for with what it does, and decide what comes next."],
        done_when=["What was learned is written down."],
    ),
}
"""What some stages can be followed by, where more phases are wanted than there is matter for."""


def halved(stage: Stage) -> tuple[Stage, Stage] | None:
    """Split a stage to build in two, or return one of the others with what can follow it; None if neither can be."""
    if stage.key != "build":
        second = _SECOND.get(stage.key)
        is_free = second is not None and stage.name != second.name and not stage.is_followed
        return (replace(stage, is_followed=True), second) if second and is_free else None
    middle = len(stage.requirements) // 2
    if not middle:
        return None
    name = re.sub(r", \S+(?: to \S+)?$", "", stage.name).removeprefix("Build: ")
    first, second = (_build(name, part) for part in (stage.requirements[:middle], stage.requirements[middle:]))
    return replace(first, name=f"Build: {name}, {_ids(first)}"), replace(second, name=f"Build: {name}, {_ids(second)}")


def _ids(stage: Stage) -> str:
    ids = [requirement.id for requirement in stage.requirements]
    return ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1]}"


def _moved(found: Reading) -> list[str]:
    is_moved = any("migration" in risk.name for risk in found.risks)
    return ["Move the data, on a copy first; compare counts and samples."] if is_moved else []


def _doing(requirements: Sequence[Requirement]) -> list[str]:
    return [_with_id(requirement) for requirement in requirements]


def shown(requirements: Sequence[Requirement]) -> list[str]:
    """By what it is known that requirements are met."""
    testable = [requirement.id for requirement in requirements if not requirement.problem]
    vague = [requirement.id for requirement in requirements if requirement.problem]
    lines = [f"A test shows {_enumerated(testable)}."] if testable else []
    return [*lines, *([f"{_enumerated(vague)}: measured by what was agreed on."] if vague else [])]


def _enumerated(ids: Sequence[str]) -> str:
    return ", ".join(ids[:12]) + (f" and {len(ids) - 12} more" if len(ids) > 12 else "")


def _with_id(requirement: Requirement) -> str:
    weight = "" if requirement.priority in ("must", "unstated") else f" ({requirement.priority})"
    return f"{requirement.id}{weight}: {requirement.text}"
