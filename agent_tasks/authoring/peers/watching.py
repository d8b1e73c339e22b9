"""What the agents that watch remote tasks share: the retry of a look, and what is handed from look to look."""

from agent_tasks.authoring.retry import Retry
from agent_tasks.errors import UpstreamUnavailable

LOOKS = 50
"""The looks of one step. The next step begins without their records, so that going on stays cheap."""
AWAY = Retry(attempts=40, base=1.0, cap=300.0, on=(UpstreamUnavailable,))
"""A server that is away is asked again for about an hour and a quarter."""
