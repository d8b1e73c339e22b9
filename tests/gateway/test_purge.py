"""POST /purge: what is kept of a person is deleted, and reported."""

from tests.gateway import Gateway, problem_of


def test_a_person_is_purged_with_a_report_that_a_dry_run_has_told(gateway: Gateway) -> None:
    root, leo = gateway.caller("root", "ops", ["admin"]), gateway.caller("leo", "lions")
    task = leo.submit("approval", {})["id"]
    body = {"subject": "leo", "tenant": "lions"}
    assert "has not ended" in problem_of(root.post("/purge", {"task_id": task}), 409)["detail"]
    assert problem_of(root.post("/purge", body), 409)
    dry = root.post("/purge", {**body, "cancel": True, "dry_run": True}).json()
    assert (dry["dry_run"], dry["tasks"], dry["cancelled"]) == (True, 1, 1)
    assert leo.get(f"/tasks/{task}").status_code == 200
    report = root.post("/purge", {**body, "cancel": True}).json()
    assert (report["dry_run"], report["tasks"], report["cancelled"], report["kept"]) == (False, 1, 1, [])
    assert problem_of(leo.get(f"/tasks/{task}"), 404)
    assert root.post("/purge", body).json()["tables"] == {}
    assert problem_of(root.post("/purge", {}), 422)["field"] == "subject"
