"""The gateway: tasks over HTTP. Any number of its processes serve one deployment; none of them holds state."""
