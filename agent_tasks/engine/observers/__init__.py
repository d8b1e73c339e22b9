"""What is told of steps: Flower, the mirror."""
