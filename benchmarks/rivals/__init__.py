"""The same chain of steps in other systems: one file each, with how it is set up and how it is measured."""
