"""After apache/superset: the class CeleryConfig of `superset/config.py`, and how `initialization` sets its app up."""
