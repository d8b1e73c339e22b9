"""`agent-tasks bulk stop`: end an operation before it is through."""

from agent_tasks.cli.bulk.running import show as print_bulk
from agent_tasks.cli.bulk.show import Id
from agent_tasks.cli.deployment import deployment
from agent_tasks.cli.options import AsJson, AsScopes, AsSubject, AsTenant, identity_of


def stop(
    id: Id, as_subject: AsSubject = None, tenant: AsTenant = "", scope: AsScopes = None, as_json: AsJson = False
) -> None:
    """Stop an operation after its batch under way. What it has done stays done."""
    with deployment() as client:
        print_bulk(client.stop_bulk(id, identity=identity_of(as_subject, tenant, scope)), as_json=as_json)
