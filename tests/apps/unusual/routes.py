def by_length(name, args, kwargs, options, task=None, **kw):
    """Tasks of theirs with a short name are fast."""
    if name.startswith("unusual.") and len(name) < 14:
        return {"queue": "unusual.fast"}
    return None
