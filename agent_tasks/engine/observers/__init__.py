"""The observers of steps: Flower, the mirror, metrics."""
