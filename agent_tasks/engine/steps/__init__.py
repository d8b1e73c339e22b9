"""One step, from its bell to its commit."""
