from ..extensions import celery_app


@celery_app.task(name="reports.scheduler")
def scheduler() -> list[str]:
    return [execute.apply_async((n,)).id for n in range(2)]


@celery_app.task(name="reports.execute", bind=True)
def execute(self, report: int) -> list[object]:
    return [report, self.rate_limit, self.time_limit, list(self.request.timelimit)]
