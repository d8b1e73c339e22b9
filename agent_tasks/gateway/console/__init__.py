"""The console: the deployment in a browser, behind the same stages as every other door."""
