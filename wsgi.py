"""The portal as a WSGI application, built from the environment; any WSGI server can run it."""

from portal import lifeline, settings
from portal.app import create_app

lifeline.end_with_parent()
app = create_app(settings.read())
