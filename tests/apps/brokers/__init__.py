"""An app of a team's on whatever broker TEAM_REDIS_URL and TEAM_OPTIONS name."""
