"""A task's tree: the task, and all that was spawned below it."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.serving import with_obstacles
from agent_tasks.deployment import Deployment
from agent_tasks.store.access import may_see, not_found
from agent_tasks.store.queries import read
from agent_tasks.task.identity import Identity
from agent_tasks.task.snapshot import TaskSnapshot


class TreeNode(BaseModel):
    """A task and the tasks it has spawned, in the order of its FanOuts."""

    model_config = ConfigDict(frozen=True)

    snapshot: TaskSnapshot
    children: list["TreeNode"] = []


def read_tree(deployment: Deployment, task_id: UUID, identity: Identity | None, *, root: bool) -> TreeNode:
    """Return the task and all below it at one moment; with `root` its whole tree. Raises TaskNotFound."""
    with deployment.database.connection() as connection:
        rows = read.tree(connection, task_id, root=root)
        tasks = with_obstacles(deployment, connection, TaskSnapshot.from_rows(rows), identity)
    if not rows or not all(may_see(identity, row) for row in rows):
        raise not_found(task_id, identity)
    nodes: dict[UUID | None, TreeNode] = {task.id: TreeNode(snapshot=task) for task in tasks}
    top, *others = nodes.values()
    for node in others:
        nodes.get(node.snapshot.parent_id, top).children.append(node)
    return top
