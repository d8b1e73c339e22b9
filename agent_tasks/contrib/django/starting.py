"""Sets Django up, where that has not been done: agents import models of apps."""

import django
from django.apps import apps

if not apps.ready and not apps.apps_ready:  # neither ready nor on the way to it
    django.setup()
