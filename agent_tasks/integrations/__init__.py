"""Frameworks that agents are written in, on the ledger: each module needs the extra of its name."""
