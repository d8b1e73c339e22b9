"""The door of the Model Context Protocol: agents are tools of hosts, and tasks are what they poll."""
