"""All that the system does to its tables, once each: as a caller, a worker, the sweeps and the command line would."""

from agent_tasks import AgentTasks
from agent_tasks.engine.process.registration import NEWEST
from agent_tasks.store.notify import Listener, notify
from agent_tasks.store.queries import catalog
from agent_tasks.store.queries.readiness import obstacle, short_limits
from agent_tasks.transitions import heartbeat
from tests.database.everything.levers import use_alerts, use_bulks, use_keys, use_pauses, use_schedules, use_sweeps
from tests.database.everything.outside import use_deliveries, use_endpoints, use_sessions, use_webhooks
from tests.database.everything.reads import use_command_line, use_console, use_reads
from tests.database.everything.steps import use_ends, use_quarantine, use_steps, use_trees
from tests.database.everything.waits import use_fan_outs, use_straight, use_waits
from tests.database.everything.who import WORKER


def everything(client: AgentTasks) -> None:
    with client.database.connection() as connection:
        catalog.register_agents(connection, {"echo": {"first_step": "echo", "signals": None}})
        catalog.signing_key(connection)
        assert obstacle(connection, NEWEST) is None
        assert short_limits(connection) == []
        notify(connection, [("somebody", "a word")])
    with Listener(client.database, lambda channel, text: None) as listener:
        listener.ask(["somebody"], ["nobody"])
    with client.database.connection() as connection:
        heartbeat.sign_on(connection, WORKER, seconds=60)
    use_steps(client)
    use_trees(client)
    use_waits(client)
    use_straight(client)
    use_fan_outs(client)
    use_quarantine(client)
    use_ends(client)
    use_reads(client)
    use_schedules(client)
    use_bulks(client)
    use_webhooks(client)
    use_endpoints(client)
    use_keys(client)
    use_sessions(client)
    use_pauses(client)
    use_deliveries(client)
    use_alerts(client)
    use_sweeps(client)
    use_console(client)
    use_command_line(client)
    with client.database.connection() as connection:
        heartbeat.sign_off(connection, WORKER.id)
