"""The gateway: tasks over HTTP."""
