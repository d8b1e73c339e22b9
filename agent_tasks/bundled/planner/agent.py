"""The bundled agent `planner`: implementation plans, requirements, and validation of plans."""

import asyncio
import os
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

import uuid_utils.compat as uuid_utils
from pydantic import BaseModel, Field

import agent_tasks
from agent_tasks import Agent, Budget, BudgetExhausted, Context, Done, InvalidInput, Next, Retry, SyncContext
from agent_tasks.authoring.expectation import is_long
from agent_tasks.bundled.asking import Answer
from agent_tasks.bundled.planner import answers
from agent_tasks.bundled.planner.hints import HINTS
from agent_tasks.bundled.planner.results import Operation
from agent_tasks.bundled.planner.rules import NOTE, by_rules, finished
from agent_tasks.bundled.planner.sentences import Do, Look, Unclear, understood
from agent_tasks.bundled.planner.tools import AGENT, PlannerTools
from agent_tasks.bundled.planner.writing import BODIES, LONGEST, write
from agent_tasks.store.queries import doors
from agent_tasks.task.allotment import Claimant, divide
from agent_tasks.task.budget import Remaining

Text = Annotated[str, Field(min_length=1, description="the requirement, the requirements, or the plan")]
Prompt = Annotated[str, Field(description="a sentence that says what to do, instead of operation and text")]


class NewJob(BaseModel):
    """A job to submit, by the id that its task will have."""

    id: UUID
    operation: Operation
    text: str
    name: str


planner = Agent(
    AGENT,
    goal="Generates implementation plans, parses requirements, and validates plans",
    tools=["submit_plan_generation", "submit_requirements_parsing", "submit_plan_validation", "get_task_result", "ask"],
    budget=Budget(seconds=900, tokens=400_000, usd=5.0),
    retention=answers.RETENTION,
    mode="auto",
    mode_hints=HINTS,
)


@planner.step
def begin(
    ctx: SyncContext, operation: Operation | None = None, text: Text | None = None, prompt: Prompt | None = None
) -> Next | Done:
    """Do `operation` on `text`; or what `prompt` says, and end with the answer in words."""
    if prompt is None:
        if operation is None or text is None:
            raise InvalidInput('Give {"operation": …, "text": …}, or {"prompt": …}.', field="operation")
        return _work(operation, text, as_text=False)
    if operation is not None or text is not None:
        raise InvalidInput("Give a prompt, or operation and text, not both.", field="prompt")
    match understood(prompt):
        case Unclear(answer):
            return Done(answer)
        case Look(ids):
            tools = _tools(ctx)
            return Done("\n\n".join(map(tools.get_task_result, map(str, ids))) or tools.get_last_result())
        case Do(jobs, how):
            if how is None and not _takes_long(prompt):
                return _work(jobs[0].operation, jobs[0].text, as_text=True)
            new = [NewJob(id=uuid_utils.uuid7(), operation=j.operation, text=j.text, name=j.name) for j in jobs]
            return Next("respond", jobs=new)


@planner.step(retry=Retry(attempts=3))
def respond(ctx: SyncContext, jobs: list[NewJob]) -> Done:
    """Submit the jobs, each as a task of its own, and answer with their ids; a repeat finds those that are there."""
    tools = _tools(ctx, _share(ctx.budget, len(jobs)))
    said: list[str] = []
    for job in jobs:
        own = replace(tools, task_id=job.id)
        submit = {
            "generate_plan": own.submit_plan_generation,
            "parse_requirements": own.submit_requirements_parsing,
            "validate_plan": own.submit_plan_validation,
        }[job.operation]
        said.append(ctx.using(key=str(job.id)).call(submit, job.text))
    if len(jobs) == 1:
        return Done(said[0])
    lines = [f"{number}. {job.name}: {words}" for number, (job, words) in enumerate(zip(jobs, said, strict=True), 1)]
    return Done("\n".join([f"{len(jobs)} tasks were submitted, and run in parallel.", *lines]))


@planner.step(name="write", retry=Retry(attempts=6, base=2.0, cap=60.0))
async def write_with_model(ctx: Context, operation: Operation, text: str, as_text: bool = False) -> Done:
    """Have the model write that AGENT_TASKS_MODEL names; throttled, it is asked again after a while."""
    model = _model()
    note = NOTE
    if model:

        async def ask(model: str, operation: Operation, text: str) -> Answer:
            answer = await write(model, operation, text)
            # Within the call, since a repeated step gets back the record, which has been paid for.
            await ctx.charge(tokens=answer["tokens"], usd=answer["usd"])
            return answer

        answer = await ctx.call(ask, model, operation, text)
        if answer["written"] is not None:
            cut = f" It was shown the first {LONGEST:,} characters." if len(text) > LONGEST else ""
            body = BODIES[operation].model_validate(answer["written"])
            return _ended(finished(body, model, f"Written by {model} from the text given.{cut}"), as_text)
        note = f"{NOTE} {model} gave no answer that could be used ({answer['problem']}), so none is shown."
    return _ended(await asyncio.to_thread(by_rules, operation, text, note), as_text)


def _work(operation: Operation, text: str, *, as_text: bool) -> Next | Done:
    if not any(c.isalnum() for c in text):
        raise InvalidInput("The text is empty: give the requirement, the requirements, or the plan.", field="text")
    if _model():
        return Next("write", operation=operation, text=text, as_text=as_text)
    return _ended(by_rules(operation, text), as_text)


def _ended(result: Any, as_text: bool) -> Done:
    return Done(result.text if as_text else result.model_dump(mode="json"))


def _model() -> str:
    return os.environ.get("AGENT_TASKS_MODEL", "").strip()


def _takes_long(prompt: str) -> bool:
    """Whether the answer to a prompt is not waited for, by the rule that the gateway has for `auto`."""

    def past() -> float | None:
        with agent_tasks.default().database.connection() as connection:
            return doors.pace(connection, AGENT)["p95"]

    return is_long(HINTS, {"prompt": prompt}, past)[0]


def _tools(ctx: SyncContext, budget: Budget | None = None) -> PlannerTools:
    """The tools for whom the step runs; each task that they submit may spend `budget`."""
    return PlannerTools(
        identity=ctx.identity.extended(AGENT) if ctx.identity else None,
        session_id=ctx.session_id,
        budget=budget,
        traceparent=ctx.traceparent,
        asking=ctx.task_id,
    )


def _share(left: Remaining, parts: int) -> Budget:
    """One of equal parts of what is left beside the calls that submit them. Raises BudgetExhausted for an empty one."""
    try:
        return divide(left, Budget(calls=parts), [Claimant()] * parts)[0].budget
    except BudgetExhausted as error:
        resource = error.info.details["resource"]
        raise BudgetExhausted(
            f"The budget has no {resource} left for {parts} tasks. Raise it, or ask for fewer.", resource=resource
        ) from None
