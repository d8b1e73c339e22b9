"""Recording: a task that was exported, as a replay of its steps needs it."""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

from agent_tasks.authoring.handed import ChildOutcome
from agent_tasks.authoring.kept import Kept
from agent_tasks.client.export import FORMAT
from agent_tasks.errors import InvalidInput
from agent_tasks.task.budget import Budget, Spend
from agent_tasks.task.identity import Identity
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.ledger import RecordedCall, RecordedCharge

_NOTES = "ctx."
"""How the names of what `ctx.now()` and its like record begin."""
_OF_CALL = {field.name for field in fields(RecordedCall)}


@dataclass(frozen=True)
class Recording:
    """What a task has recorded. `step_number` is that of a step, from 0."""

    document: dict[str, Any]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Recording":
        """Read what `agent-tasks export` has printed. Raises InvalidInput for anything else."""
        how = "Make one with: agent-tasks export ID > task.json"
        try:
            document: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{path} is no exported task: {error}. {how}", field="path") from None
        if not isinstance(document, dict) or "task" not in document:
            raise InvalidInput(f"{path} is no exported task. {how}", field="path")
        if document.get("format") != FORMAT:  # pyright: ignore[reportUnknownMemberType]
            raise InvalidInput(
                f"{path} was exported by agent-tasks {document.get('agent_tasks')}, in another format: replay it with "  # pyright: ignore[reportUnknownMemberType]
                "that release, or export the task again.",
                field="path",
            )
        return cls(document)  # pyright: ignore[reportUnknownArgumentType]

    @property
    def task(self) -> dict[str, Any]:
        return self.document["task"]

    @cached_property
    def committed(self) -> dict[int, dict[str, Any]]:
        """The steps that this task has committed itself, by their numbers; what it took over from another is not."""
        return {one["step_number"]: one for one in self.document["checkpoints"] if one["run"] > 0}

    @property
    def current(self) -> int | None:
        """The number of the step that the task was in the midst of, or that failed; None where it was in none."""
        number: int = self.task["step_number"]
        has_begun = self.task["attempt"] > 0 or self._of("calls", number)
        return number if has_begun and number not in self.committed and self.task["status"] != "completed" else None

    def claim(self, step_number: int) -> Claim:
        """Return the claim by which the step's last run had it."""
        task, done = self.task, self.committed.get(step_number)
        before = self._checkpoint(step_number - 1) or {}
        identity = task["identity"]
        return Claim(
            id=UUID(task["id"]),
            run=task["run"],
            agent=task["agent"],
            step=task["step"] if done is None else done["step"],
            step_number=step_number,
            attempt=(task["attempt"] if done is None else done["attempt"]) or 1,
            failures=0,
            lineage_id=UUID(task["lineage_id"]),
            session_id=task["session_id"],
            identity=Identity.model_validate(identity) if identity else None,
            budget=Budget(**{n: task[f"budget_{n}"] for n in ("seconds", "tokens", "usd", "steps", "calls")}),
            spent=self._spent(step_number),
            reserved=Spend(),
            held=Spend(),
            state=task["input"] if step_number == 0 else before.get("state"),
            awaits=before.get("awaits"),
            undo_step=None,
            is_first=False,
            repeated=True,
            row=task,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        )

    def calls(self, step_number: int) -> dict[int, RecordedCall]:
        """The recorded calls of a step. What ended the last try of one that is not committed is given back, too."""
        is_last = step_number not in self.committed
        found: dict[int, RecordedCall] = {}
        for row in self._of("calls", step_number):
            call = RecordedCall(**{name: value for name, value in row.items() if name in _OF_CALL})
            call.inherited = row["run"] == 0
            if is_last and call.replay == "again" and row["run"] == self.task["run"]:
                call.replay = None
            found[call.ordinal] = call
        return found

    def cost_of_call(self, step_number: int, ordinal: int) -> Spend:
        """What a call, or a wait, had spent, with all that was charged within it."""
        row = self._calls[step_number, ordinal]
        return Spend(tokens=row["tokens"], usd=float(row["usd"]), calls=_counted(row))

    def cost_of_charge(self, step_number: int, fingerprint: str) -> Spend:
        rows = [row for row in self._of("charges", step_number) if row["fingerprint"] == fingerprint]
        return Spend(tokens=sum(row["tokens"] for row in rows), usd=float(sum(row["usd"] for row in rows)))

    def charges(self, step_number: int) -> dict[str, RecordedCharge]:
        return {
            row["fingerprint"]: RecordedCharge(
                row["branch"], row["spent_tokens"], float(row["spent_usd"]), row["ended"], inherited=row["run"] == 0
            )
            for row in self._of("charges", step_number)
        }

    def signals(self, step_number: int) -> list[dict[str, Any]]:
        """The signals that the step was handed."""
        return [
            {name: row[name] for name in ("name", "payload", "signal_id", "sender", "sent_at")}
            for row in self.document["signals"]
            if row["consumed_step"] == step_number and row["consumed_call"] is None
        ]

    def children(self, step_number: int, call: int | None = None) -> list[ChildOutcome]:
        """The outcomes of the children that the step, or a call of it, was handed."""
        return [
            ChildOutcome.model_validate(outcome)
            for handed in self._of("children", step_number)
            if handed["call"] == call
            for outcome in handed["outcomes"]
        ]

    def hook(self, step_number: int, fingerprint: str) -> str | None:
        return next((row["url"] for row in self._of("hooks", step_number) if row["fingerprint"] == fingerprint), None)

    @property
    def kept(self) -> Kept | None:
        kept = self.document["kept"]
        return None if kept is None else Kept(value=kept["partial"], remaining=kept["remaining"])

    def _spent(self, step_number: int) -> Spend:
        """What the task had spent when the step began, by what it has recorded of the steps before."""
        charged = [row for row in self.document["charges"] if row["step_number"] < step_number]
        spent = Spend(
            seconds=sum(one["seconds"] for number, one in self.committed.items() if number < step_number),
            tokens=sum(row["tokens"] for row in charged),
            usd=float(sum(Decimal(str(row["usd"])) for row in charged)),
            steps=sum(number < step_number for number in self.committed),
            calls=sum(_counted(row) for row in self.document["calls"] if row["step_number"] < step_number),
        )
        for handed in self.document["children"]:
            if handed["step_number"] <= step_number and (handed["call"] is None or handed["step_number"] < step_number):
                for outcome in handed["outcomes"]:
                    spent = spent + Spend(**outcome["spent"])
        return spent

    def _checkpoint(self, step_number: int) -> dict[str, Any] | None:
        return next(iter(self._of("checkpoints", step_number)), None)

    def _of(self, table: str, step_number: int) -> Sequence[dict[str, Any]]:
        return self._by_step[table, step_number]

    @cached_property
    def _by_step(self) -> defaultdict[tuple[str, int], list[dict[str, Any]]]:
        found: defaultdict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        for table in ("checkpoints", "calls", "charges", "children", "hooks"):
            for row in self.document[table]:
                found[table, row["step_number"]].append(row)
        return found

    @cached_property
    def _calls(self) -> dict[tuple[int, int], dict[str, Any]]:
        return {(row["step_number"], row["ordinal"]): row for row in self.document["calls"]}


def _counted(row: dict[str, Any]) -> int:
    """How many calls of the budget a record is: what a task before this one made, waits, and notes are none."""
    is_call = row["wait"] is None and row["run"] > 0 and not row["name"].startswith(_NOTES)
    return row["attempts"] if is_call else 0
