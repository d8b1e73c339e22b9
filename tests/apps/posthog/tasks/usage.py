from celery import chain, shared_task


@shared_task(ignore_result=False)
def count_events(team: int) -> int:
    return team * 10


@shared_task(ignore_result=False)
def report(count: int, name: str) -> str:
    return f"{name}: {count}"


def usage_report(team: int, name: str):
    return chain(count_events.s(team), report.s(name)).apply_async(priority=0)
