"""crash_everywhere: an agent's task lived once whole, and once for each boundary, cut there and gone on from."""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent_tasks.authoring.agent import Agent, loaded_agents
from agent_tasks.testing.calls import Calls
from agent_tasks.testing.crash.journal import Journal
from agent_tasks.testing.crash.life import live
from agent_tasks.testing.crash.operations import known_as
from agent_tasks.testing.crash.plan import Plan
from agent_tasks.testing.crash.processes import begin_anew, fork

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class CrashReport:
    """What came of an agent's task that was cut everywhere."""

    boundaries: tuple[str, ...]
    """The boundaries at which it was cut, in order."""
    findings: tuple[str, ...]
    """The bugs that were found."""
    result: Any = None
    """The result of the task that was not cut."""


class DurabilityBugs(AssertionError):
    """Raised for an agent that a crash would make do something twice, or something else."""

    def __init__(self, agent: str, report: CrashReport) -> None:
        super().__init__(f"{agent} is not durable:\n" + "\n".join(f"- {found}" for found in report.findings))
        self.report = report


@dataclass
class Everywhere:
    """The lives of one task."""

    agent: Agent
    plan: Plan
    folder: Path
    calls: Calls
    effects: Sequence[Callable[..., Any]]
    harmless: Sequence[Callable[..., Any]]
    findings: list[str] = field(default_factory=list[str])
    _lives: int = 0

    def run(self) -> CrashReport:
        first = self._live(self.plan, self.calls)
        end = self._end(first, "the task that was not cut")
        if end is None or end["status"] not in ("completed", "partial"):
            if end is not None:
                self.findings.append(f"the task that was not cut does not complete: {end['error']}")
            return self._report([], end)
        answers = _answers(first)
        self._judge_calls(answers)
        known = sorted({answer["function"] for answer in answers.values() if answer.get("function")})
        plan = replace(self.plan, answers=answers, known=known)
        second = self._live(replace(plan, observes=True))
        self.findings += dict.fromkeys(
            f"outside of a call, {line['found']}" for line in second if line["what"] == "outside"
        )
        self._compare(second, end, answers, "the same task again")
        if not self.findings and self.agent.declared.module in plan.modules:
            elsewhere = self._journal()
            begin_anew(replace(plan, journal=str(self._path)), self.folder, elsewhere)
            self._compare(elsewhere.read(), end, answers, "the same task in another process")
            elsewhere.close()
        boundaries = [line for line in second if line["what"] == "boundary"]
        if self.findings:
            return self._report([], end)
        for boundary in boundaries:
            self._cut(plan, boundary, end, answers)
        return self._report([line["name"] for line in boundaries], end)

    def _cut(self, plan: Plan, boundary: Mapping[str, Any], end: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
        journal = self._journal()
        here = replace(plan, journal=str(self._path), cut=boundary["number"])
        fork(lambda: live(here, journal), journal)
        fork(lambda: live(replace(here, cut=None, resumes=True), journal), journal)
        lines = journal.read()
        journal.close()
        if boundary["once"] and any(_is_lost(line) for line in lines):
            return  # a call that may be made at most once, of unknown outcome: that is for a person to find out
        self._compare(lines, end, answers, f"cut where {boundary['name']}")
        ran = Counter(line["key"] for line in lines if line["what"] == "ran")
        twice = [answers[key] for key, times in ran.items() if times > 1 and key in answers]
        self.findings += [
            f"cut where {boundary['name']}: {a['name']} has its effect twice" for a in twice if self._harms(a)
        ]

    def _judge_calls(self, answers: Mapping[str, Any]) -> None:
        for answer in answers.values():
            if self._harms(answer):
                self.findings.append(
                    f"{answer['name']} {answer.get('effect', 'has an effect')}, and a crash has it run twice: use "
                    "ctx.idempotency_key in it, give it a key by ctx.using(key=…), or at_most_once=True"
                )

    def _harms(self, answer: Mapping[str, Any]) -> bool:
        """Whether a second run of a call has a second effect."""
        if answer["once"] or answer["keyed"] or answer.get("nested"):
            return False
        function = answer.get("function")
        if any(known_as(each) == function for each in self.harmless):
            return False
        return "effect" in answer or any(known_as(each) == function for each in self.effects)

    def _compare(self, lines: Lines, end: Mapping[str, Any], answers: Mapping[str, Any], which: str) -> None:
        """Find where a life went another way than the first one."""
        unknown = dict.fromkeys(f"{line['name']} with {line['args']}" for line in lines if line["what"] == "unknown")
        self.findings += [f"{which}: it calls {what}, which it did not before" for what in unknown]
        ended = self._end(lines, which)
        if ended is None or unknown:
            return
        if (ended["status"], _comparable(ended["result"])) != (end["status"], _comparable(end["result"])):
            came = ended["result"] if ended["error"] is None else ended["error"]
            self.findings.append(
                f"{which}: it ends {ended['status']} with {_differing(_comparable(came), _comparable(end['result']))}"
            )
        made = {line["key"] for line in lines if line["what"] == "answer"}
        for key in [key for key in answers if key not in made]:
            self.findings.append(f"{which}: it does not call {answers[key]['name']}, which it did before")

    def _end(self, lines: Lines, which: str) -> Mapping[str, Any] | None:
        self.findings += [f"{which}: {line['error']}" for line in lines if line["what"] == "broke"]
        end = next((line for line in lines if line["what"] == "end"), None)
        if end is None and not self.findings:
            self.findings.append(f"{which}: its process ended before the task did")
        return end

    def _live(self, plan: Plan, calls: Calls | None = None) -> Lines:
        journal = self._journal()
        here = replace(plan, journal=str(self._path))
        fork(lambda: live(here, journal, calls), journal)
        lines = journal.read()
        journal.close()
        return lines

    def _journal(self) -> Journal:
        self._lives += 1
        return Journal(self._path)

    @property
    def _path(self) -> Path:
        return self.folder / f"life-{self._lives}.jsonl"

    def _report(self, boundaries: Sequence[str], end: Mapping[str, Any] | None) -> CrashReport:
        return CrashReport(tuple(boundaries), tuple(self.findings), None if end is None else end["result"])


def crash_everywhere(
    agent: Agent,
    input: Any,
    *,
    database_url: str,
    calls: Calls,
    signals: Mapping[str, Any],
    effects: Sequence[Callable[..., Any]],
    harmless: Sequence[Callable[..., Any]],
) -> CrashReport:
    """Run the agent as `Kit.crash_everywhere` says. Raises DurabilityBugs."""
    places = [each.declared for each in loaded_agents().values()]
    modules = sorted({place.module for place in places if place.run is not None and place.module != "__main__"})
    with tempfile.TemporaryDirectory(prefix="at-crash-") as folder:
        plan = Plan(database_url, "", agent.name, modules, input, signals)
        report = Everywhere(agent, plan, Path(folder), calls, effects, harmless).run()
    if report.findings:
        raise DurabilityBugs(agent.name, report)
    return report


def _answers(lines: Lines) -> dict[str, Any]:
    """Return what came of each call of a life, with what it spent, and whether it has an effect."""
    answers = {
        line["key"]: {name: line[name] for name in line if name != "what"} for line in lines if line["what"] == "answer"
    }
    for line in lines:
        answer = answers.get(line.get("key", ""))
        if answer is None:
            continue
        match line["what"]:
            case "spent":
                answer.setdefault("spent", []).append({"tokens": line["tokens"], "usd": line["usd"]})
            case "effect":
                answer["effect"] = line["effect"]
            case "keyed":
                answer["keyed"] = True
            case "nested":
                answer["nested"] = True
            case _:
                pass
    return answers


def _comparable(value: Any) -> Any:
    """Return a result without what is named `seconds` or `spent` in it: a call that runs again takes and costs more."""
    if isinstance(value, dict):
        return {name: None if name in ("seconds", "spent") else _comparable(item) for name, item in value.items()}
    return [_comparable(item) for item in value] if isinstance(value, list) else value


def _differing(came: Any, before: Any, where: str = "") -> str:
    """Return what came, and what had come before, as deep within as the two differ in one place only."""
    if isinstance(came, dict) and isinstance(before, dict) and came.keys() == before.keys():
        others = [name for name in before if came[name] != before[name]]
        return " and ".join(_differing(came[name], before[name], f"{where}[{name!r}]") for name in others)
    if isinstance(came, list) and isinstance(before, list) and len(came) == len(before):
        places = [n for n in range(len(before)) if came[n] != before[n]]
        return " and ".join(_differing(came[n], before[n], f"{where}[{n}]") for n in places)
    return f"{came!r}, not {before!r}" + (f" at {where}" if where else "")


def _is_lost(line: Mapping[str, Any]) -> bool:
    return line["what"] == "end" and (line["error"] or {}).get("type") == "context_lost"
