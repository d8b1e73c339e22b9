"""The sentences that the planner understands: what a prompt asks for."""

import re
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from agent_tasks.bundled.planner.request import NUMBER_WORDS
from agent_tasks.bundled.planner.results import Operation

MOST_TASKS = 20
_SHOWN = 80

HELP = """\
I plan. Say, for example:
- Generate a 3-phase implementation plan for …
- Parse requirements for …
- Validate this plan: …
- Submit async: … (also: In background, … · Fire and forget: … · Use async mode to … · Submit task: …)
- Submit 3 tasks: parse requirements for A, B, and C
- Get result for task ID … · Check status of task ID … · Check status"""


@dataclass(frozen=True, slots=True)
class Job:
    """One operation on a text; `name` tells it from others of the same prompt."""

    operation: Operation
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Do:
    """Jobs to do: `how` says whether they run in the background, or None where the planner is to choose."""

    jobs: list[Job]
    how: Literal["async"] | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """A question for tasks' states: those named, else the session's last."""

    ids: list[UUID]


@dataclass(frozen=True, slots=True)
class Unclear:
    """A prompt that cannot be followed; `answer` says why, and what can be said."""

    answer: str


Meaning = Do | Look | Unclear

_POLITE = re.compile(
    r"(?:(?:please|kindly|hi|hello|hey|ok|okay|now|bitte|can you|could you|would you|i want you to|"
    r"i'd like you to)\b[,:!]?\s+)+",
    re.I,
)
_LOOK = re.compile(
    r"(?:(?:get|show|fetch|give|retrieve|what(?:'s| is))\s+(?:me\s+)?(?:the\s+)?results?|get_task_result|(?:check|get|"
    r"show|what(?:'s| is))\s+(?:on\s+)?(?:the\s+|me the\s+)?status|"
    r"(?:task\s+)?status\b|is (?:it|my task|the task|task id)\b.{0,60}\b(?:done|ready|finished)|status prüfen|"
    r"ergebnis (?:von|für|der))",
    re.I,
)
_ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.I)
_NAMES_A_TASK = re.compile(r"\b(?:task\s*id|id|task|get_task_result)\b\s*[:#=(]*\s*[\"'`<(]*([^\s\"'`<>()?]+)", re.I)
_MANY = re.compile(
    rf"submit\s+(\d{{1,3}}|{'|'.join(NUMBER_WORDS)})\s+(?:async\s+|background\s+|"
    rf"parallel\s+)?tasks?\b(?:\s+in parallel)?\s*[:,–—-]?\s*(.*)",
    re.I | re.S,
)
_ASYNC = re.compile(
    r"(?:submit(?:\s+(?:this|it))?\s+(?:async(?:hronously)?|in (?:the )?background|as a background task)|"
    r"in (?:the )?background|fire[- ]and[- ]forget|"
    r"(?:use|using|in)\s+async(?:hronous)?(?:\s+mode)?(?:\s+to)?|async(?:hronously)?|run in (?:the )?background|"
    r"im hintergrund|"
    r"submit\s+(?:a\s+|this\s+|the\s+)?(?:new\s+)?task(?:\s+(?:to|for))?)\b\s*[:,–—-]?\s*",
    re.I,
)
_ASYNC_END = re.compile(
    r"[\s,;–—-]*\(?\b(?:in (?:the )?background|async(?:hronously)?|in async mode|fire[- ]and[- ]forget|"
    r"(?:and )?don'?t wait(?: for it)?|im hintergrund)\)?[.!]*\s*$",
    re.I,
)
_VALIDATE = re.compile(
    r"(?:validate|verify|review|check|assess|critique|prüfe?)\s+(?:(?:this|the|my|our|following|attached|diesen|den|"
    r"folgenden|meinen|implementation|project|\w+-phase)\s+)*plan\w*\b"
    r"(?:\s+(?:below|for me|for (?:completeness|gaps|problems|risks)))?\s*[:,.–—-]?\s*(?P<text>.*)",
    re.I | re.S,
)
_PARSE = re.compile(
    r"(?:parse|extract|analy[sz]e|collect|gather|list|identify|find|erfasse|analysiere|extrahiere)\s+(?:(?:the|all|"
    r"these|this|my|our|following|any|functional|non-functional|die|alle|diese|"
    r"software|system|project|business)\s+|(?:and)\s+)*(?:requirements?|anforderungen)\b(?:\s+(?:for|from|of|in|out of|"
    r"below|this(?=\s*:)|(?:the )?following|text|für|aus|von))*\s*[:,–—-]?\s*(?P<text>.*)",
    re.I | re.S,
)
_PLAN = re.compile(
    r"(?:generate|create|make|write|draft|build|prepare|develop|produce|design|outline|give me|i need|we need|need|"
    r"plan|erstelle?|schreibe?|entwirf|mach\w*)\b[^\n]{0,160}?\b(?:plan|roadmap|\w*plan)\b"
    r"|(?:an?|the|ein(?:en)?)?\s*(?:[\w-]+\s+){0,5}(?:implementation plan|project plan|roadmap|umsetzungsplan|"
    r"projektplan)\b|plan\s+(?:for|the|a|an|out|how)\b",
    re.I,
)
_ANY = (_VALIDATE, _PARSE, _PLAN)


def understood(prompt: str) -> Meaning:
    """Return what a prompt asks for."""
    said = prompt.strip()
    bare = _unquoted(_POLITE.sub("", said, count=1) if _POLITE.match(said) else said)
    if not bare:
        return Unclear(f"The prompt is empty. {HELP}")
    if many := _MANY.match(bare):
        return _many(NUMBER_WORDS.get(many[1].lower()) or int(many[1]), many[2])
    if _LOOK.match(bare) and len(bare) <= 300:
        return _look(bare)
    how: Literal["async"] | None = None
    if marked := _ASYNC.match(bare):
        how, bare = "async", bare[marked.end() :]
    elif len(bare) <= 2000 and (ended := _ASYNC_END.search(bare)):
        how, bare = "async", bare[: ended.start()]
    bare = _POLITE.sub("", bare, count=1) if _POLITE.match(bare) else bare
    if not bare.strip():
        return Unclear(f"Say what the task is to do. {HELP}")
    job = _job(bare.strip())
    if isinstance(job, Unclear):
        return job
    return Do([job], how)


def _job(said: str) -> Job | Unclear:
    """The job that a sentence names."""
    if found := _VALIDATE.match(said):
        return _with_text("validate_plan", found["text"], "the plan", "Validate this plan: 1. … 2. …")
    if found := _PARSE.match(said):
        return _with_text("parse_requirements", found["text"], "the text", "Parse requirements for …")
    if _PLAN.match(said):
        return Job("generate_plan", said, _short(said))
    return Unclear(f"I do not know what to do with “{_short(said)}”. {HELP}")


def _with_text(operation: Operation, text: str, what: str, example: str) -> Job | Unclear:
    text = _unquoted(text.strip())
    if not any(c.isalnum() for c in text):
        return Unclear(f"{what.capitalize()} is missing. Give it in the same prompt: “{example}”")
    return Job(operation, text, _short(text))


def _many(count: int, said: str) -> Meaning:
    """Jobs of one prompt: one sentence for each, or one for all with their subjects listed."""
    if not 1 <= count <= MOST_TASKS:
        return Unclear(f"At most {MOST_TASKS} tasks can be submitted by one prompt, and at least 1; not {count}.")
    lines = [re.sub(r"^\s*(?:[-*•]|\(?\d{1,3}[.)])\s*", "", line).strip() for line in re.split(r"[\n;]", said)]
    sentences = [line for line in lines if line]
    if len(sentences) == 1:
        sentences = [
            part.strip(" ,")
            for part in re.split(
                r"[,;]\s+(?:and\s+|then\s+|und\s+)?(?=(?:parse|extract|validate|generate|create|write)\b)",
                sentences[0],
                flags=re.I,
            )
        ]
    if len(sentences) == 1 and (found := _PARSE.match(sentences[0])) and found["text"]:
        return _counted(
            count, [Job("parse_requirements", subject, _short(subject)) for subject in _subjects(found["text"], count)]
        )
    if len(sentences) == 1 and (
        listed := re.match(r"(.*?\b(?:plans?|roadmaps?)\b\s*(?:for|to|of|für|:)\s*)(.+)", sentences[0], re.I | re.S)
    ):
        operation: Operation = "validate_plan" if _VALIDATE.match(sentences[0]) else "generate_plan"
        order = re.sub(r"\bplans\b", "plan", listed[1], flags=re.I)
        subjects = _subjects(listed[2], count)
        return _counted(
            count,
            [
                Job(operation, subject if operation == "validate_plan" else order + subject, _short(subject))
                for subject in subjects
            ],
        )
    jobs = [_job(sentence) for sentence in sentences]
    unclear = next((job for job in jobs if isinstance(job, Unclear)), None)
    return unclear or _counted(count, [job for job in jobs if isinstance(job, Job)])


def _counted(count: int, jobs: list[Job]) -> Meaning:
    if len(jobs) == count:
        return Do(jobs, "async")
    names = "; ".join(job.name for job in jobs) or "none"
    return Unclear(
        f"{count} tasks were asked for, and {len(jobs)} found: {names}. Nothing was submitted. Name each, with commas "
        "between: “Submit 3 tasks: parse requirements for A, B, and C”"
    )


def _subjects(listed: str, count: int) -> list[str]:
    """Split a list at its commas, and at “and” where that makes the number that was named."""
    listed = listed.strip().rstrip(".")
    parts = [re.sub(r"^(?:and|und|&)\s+", "", part.strip(), flags=re.I) for part in listed.split(",")]
    parts = [_unquoted(part) for part in parts if part]
    if len(parts) != count and parts:
        last = re.split(r"\s+(?:and|und|&)\s+", parts[-1], flags=re.I)
        everywhere = [piece for part in parts for piece in re.split(r"\s+(?:and|und|&)\s+", part, flags=re.I)]
        parts = next((split for split in ([*parts[:-1], *last], everywhere) if len(split) == count), everywhere)
    return parts


def _look(said: str) -> Meaning:
    if ids := _ID.findall(said):
        return Look([UUID(id) for id in dict.fromkeys(ids)])
    named = _NAMES_A_TASK.search(said)
    if named and re.search(r"\d|^id$", named[1], re.I) and named[1].lower() not in ("id",):
        return Unclear(f"“{_short(named[1])}” is no task ID. One looks like 0198c2f4-7c1a-7e53-b9d1-3c0f6a9be011.")
    if re.search(r"\btask\s*id\b\W*$", said, re.I):
        return Unclear("Name the task: “Get result for task ID 0198c2f4-7c1a-7e53-b9d1-3c0f6a9be011”.")
    return Look([])


def _unquoted(text: str) -> str:
    text = text.strip()
    for begin, end in (('"', '"'), ("'", "'"), ("“", "”"), ("„", "“"), ("`", "`")):
        if len(text) > 1 and text[0] == begin and text[-1] == end and begin not in text[1:-1]:
            return text[1:-1].strip()
    return text


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1].rstrip()}…"
