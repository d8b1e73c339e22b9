"""Children that run side by side and share their parent's budget, and a parent that puts their answers together."""

from agent_tasks import Agent, Budget, Child, ChildOutcome, Context, Done, FanOut, Partial, agent, submit

survey = Agent("example-survey", budget=Budget(seconds=60, tokens=1_000))


@agent("example-specialist")
async def specialist(ctx: Context, question: str) -> str:
    await ctx.charge(tokens=len(question))
    if question.startswith("un"):
        raise LookupError("nobody knows")
    return f"{question}: yes"


@survey.step
async def divide(ctx: Context, questions: list[str]) -> FanOut:
    children = [Child(agent="example-specialist", input={"question": question}) for question in questions]
    return FanOut(children, then=combine, reserve=10)  # ten seconds are kept for `combine`


@survey.step
async def combine(ctx: Context, children: list[ChildOutcome]) -> Done | Partial:
    answers = [child.result for child in children if child.status == "completed"]
    if len(answers) < len(children):
        return Partial(answers, f"{len(children) - len(answers)} of {len(children)} questions have no answer")
    return Done(answers)


@agent("example-survey-at-once", budget=Budget(seconds=60, tokens=1_000))
async def survey_at_once(ctx: Context, questions: list[str]) -> list[str]:
    """Do the same in one function, which is parked while the children are at work."""
    asked = [Child("example-specialist", {"question": question}) for question in questions]
    children = await ctx.fan_out(asked, reserve=10)
    return [child.result for child in children if child.status == "completed"]


if __name__ == "__main__":
    print(submit(survey, {"questions": ["tides", "moon"]}).result(timeout=30))
    print(submit("example-survey-at-once", {"questions": ["tides", "unknown"]}).result(timeout=30))
    short = submit(survey, {"questions": ["tides", "unknown"]}).wait(timeout=30)
    print(short.status, short.result, short.error.message if short.error else "")
