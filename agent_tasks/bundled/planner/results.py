"""The results of planning: a plan, parsed requirements, or the validation of a plan."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Operation = Literal["generate_plan", "parse_requirements", "validate_plan"]
Severity = Literal["error", "warning"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


Line = Annotated[int | None, Field(description="the line of the given text, from 1")]


class Requirement(_Part):
    id: str = Field(description="the text's own id, such as REQ-4, else R1, R2, …")
    text: str
    kind: Literal["functional", "non_functional"]
    category: str = Field(description="what it is about, such as performance, security, integration, behaviour")
    priority: Literal["must", "should", "could", "unstated"]
    section: str | None = None
    line: Line = None
    actors: list[str] = []
    depends_on: list[str] = Field(default=[], description="ids of requirements that it names")
    problem: str | None = Field(default=None, description="why no test can decide it; null where one can")


class Actor(_Part):
    name: str
    kind: Literal["person", "system"]
    mentions: int = Field(default=1, ge=1)


class Constraint(_Part):
    kind: Literal["deadline", "budget", "technology", "legal", "team", "procurement"]
    text: str
    line: Line = None


class Risk(_Part):
    name: str
    evidence: str = Field(description="what in the text it rests on")
    line: Line = None
    consequence: str
    response: str
    phase: int | None = Field(default=None, description="the phase of the plan in which the response is due")


class Phase(_Part):
    number: int = Field(ge=1)
    name: str
    goal: str
    tasks: list[str]
    requirements: list[str] = Field(default=[], description="ids of the requirements that it meets")
    depends_on: list[int] = Field(default=[], description="numbers of the phases that end before it begins")
    done_when: list[str] = []


class Finding(_Part):
    kind: Literal["missing", "circular", "untestable", "unknown", "order", "empty", "open"]
    severity: Severity
    message: str
    line: Line = None
    suggestion: str


class PlanBody(_Part):
    """The content of a plan."""

    title: str
    summary: str
    phases: list[Phase] = Field(min_length=1)
    requirements: list[Requirement] = []
    actors: list[Actor] = []
    constraints: list[Constraint] = []
    risks: list[Risk] = []
    open_questions: list[str] = []


class RequirementsBody(_Part):
    """The content of parsed requirements."""

    title: str
    summary: str
    requirements: list[Requirement] = []
    actors: list[Actor] = []
    constraints: list[Constraint] = []
    risks: list[Risk] = []
    out_of_scope: list[str] = []
    open_questions: list[str] = []


class ValidationBody(_Part):
    """The content of a validation."""

    title: str
    summary: str
    verdict: Literal["ready", "gaps", "not_ready"]
    phases: list[Phase] = []
    findings: list[Finding] = []


class _Result(_Part):
    model: str | None = Field(default=None, description="the model that wrote it; null: none did")
    note: str = Field(default="", description="how it was made")
    text: str = Field(default="", description="all of it in Markdown")


class Plan(PlanBody, _Result):
    """The result of `generate_plan`."""

    operation: Literal["generate_plan"] = "generate_plan"


class Requirements(RequirementsBody, _Result):
    """The result of `parse_requirements`."""

    operation: Literal["parse_requirements"] = "parse_requirements"


class Validation(ValidationBody, _Result):
    """The result of `validate_plan`."""

    operation: Literal["validate_plan"] = "validate_plan"


Result = Annotated[Plan | Requirements | Validation, Field(discriminator="operation")]
Body = PlanBody | RequirementsBody | ValidationBody
