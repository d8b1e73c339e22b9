"""Everything that Celery lets one set and few do, all at once."""
