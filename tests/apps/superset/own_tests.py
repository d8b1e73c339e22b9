from .tasks.celery_app import app


def test_a_query_runs_within_the_context_of_flask():
    assert app.send_task("sql_lab.get_sql_results", ["select"]).get(timeout=20) == ["select"] * 3


def test_annotations_reach_the_tasks_that_a_task_sends():
    sent = app.send_task("reports.scheduler").get(timeout=20)
    results = [app.AsyncResult(each).get(timeout=20) for each in sent]
    assert [result[:3] for result in results] == [[0, "100/s", 120], [1, "100/s", 120]]
