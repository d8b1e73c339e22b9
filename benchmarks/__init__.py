"""Benchmarks: what the system costs, side by side with others, on real servers of this machine."""
