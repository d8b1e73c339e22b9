"""Recorded calls: how a call is known, in which order calls run, and what is kept of them."""
