"""Readers that turn one file format each into blocks of prose with their place in the document."""
