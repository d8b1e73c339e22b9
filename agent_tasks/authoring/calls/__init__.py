"""Recorded calls: who a call is, in which order calls run, and what is kept of them."""
