"""The portal as a WSGI application, built from the environment; any WSGI server can run it."""

from portal import drivers, lifeline, logs, settings

lifeline.end_with_parent()
chosen = settings.read()
logs.catch_uncaught()
drivers.leave_out_unused(chosen)

from portal.app import create_app  # noqa: E402 (only now: it loads the database drivers that are left)

app = create_app(chosen)
