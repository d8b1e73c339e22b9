"""Tables that have doubled are analyzed: plans that were made while they were small are made anew."""

import logging

from agent_tasks.deployment import Deployment
from agent_tasks.transitions.statistics import analyze_grown

log = logging.getLogger(__name__)


def run_once(deployment: Deployment) -> int:
    with deployment.database.connection() as connection:
        grown = analyze_grown(connection)
    if grown:
        log.info("analyzed: tables=%s", ",".join(grown))
    return 0
