"""The protocols' own libraries, each behind the few requests that steps make; imported by none but `peers/wire.py`."""
