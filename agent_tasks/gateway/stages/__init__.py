"""The six stages of a request, a module each."""
