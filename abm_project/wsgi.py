"""The WSGI entry point: `gunicorn abm_project.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "abm_project.settings")
os.environ.setdefault("DATABASE_PROFILE", "web")  # a page must not wait 300 s for a frozen database

application = get_wsgi_application()
