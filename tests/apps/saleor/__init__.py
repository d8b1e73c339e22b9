"""After saleor/saleor, `saleor/celeryconf.py` and `settings.py`: Django, its own logging, tasks in transactions."""
