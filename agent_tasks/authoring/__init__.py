"""The parts with which an author writes an agent."""
