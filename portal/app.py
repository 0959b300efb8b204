"""Builds the web application from settings: the only place that wires its parts together."""

from __future__ import annotations

import secrets
from datetime import timedelta
from time import perf_counter
from typing import Any
from urllib.parse import quote

import peewee
from flask import Flask, Response, g, redirect, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from htmx_flask import Htmx
from werkzeug.exceptions import HTTPException

from portal import assets, i18n, logs, pages, proxies
from portal.errors import Invalid, NotFound, PortalError, TooMany
from portal.models import base
from portal.pages import guards
from portal.services import installation
from portal.services.builtin_ceremony import BuiltinCeremony
from portal.settings import ROOT, BadSettings, Settings
from providers import registry

# Asked by machines inside, who know nothing of certificates.
PLAIN = ("/healthz", "/readyz", "/metrics")
MAX_BODY_BYTES = 27 * 1024 * 1024
MAX_TYPED_BYTES = 1024 * 1024
LARGE = {"existing.upload": 210 * 1024 * 1024}  # a ZIP of many PDFs, from staff who are signed in
CONTENT_SECURITY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def create_app(settings: Settings) -> Flask:
    """The portal as a WSGI application. Raises BadSettings when its own files are missing."""
    if not (ROOT / "templates").is_dir():
        raise BadSettings(
            f"The folder {ROOT / 'templates'} is missing: start from a checkout or the container."
        )
    app = Flask("portal", static_folder=None, template_folder=str(ROOT / "templates"))
    # A doubled slash is another address, not a redirect to whatever host the request named.
    app.url_map.merge_slashes = False
    installation.open_installation(settings)
    registry.set_ceremony(BuiltinCeremony())
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=2 * 1024 * 1024,
        MAX_FORM_PARTS=4000,
        SESSION_COOKIE_NAME="__Host-countersign-form" if settings.https else "countersign-form",
        SESSION_COOKIE_SECURE=settings.https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        WTF_CSRF_TIME_LIMIT=None,
        # Pages send no Referer at all; Sec-Fetch-Site and Origin are checked below instead.
        WTF_CSRF_SSL_STRICT=False,
        COUNTERSIGN=settings,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.auto_reload = False
    app.config["TEMPLATES_AUTO_RELOAD"] = False
    app.wsgi_app = proxies.front(app.wsgi_app, lambda: app.config["COUNTERSIGN"].trusted_proxies)  # type: ignore[method-assign]
    logs.set_up(settings)
    i18n.install(app.jinja_env)
    Htmx(app)
    assets.serve(app)
    guard_requests(app)
    answer_errors(app)
    CSRFProtect(app)
    pages.register(app)
    return app


def most_bytes() -> int:
    """How much a form with files may hold: more for those who are signed in, where files are large."""
    most = LARGE.get(request.endpoint or "", MAX_BODY_BYTES)
    me = guards.signed_in() if most > MAX_BODY_BYTES else None
    return most if me is not None and me.is_staff else MAX_BODY_BYTES


def guard_requests(app: Flask) -> None:
    """Request id, database connection, same-origin check, and the headers of every answer."""

    @app.before_request
    def begin() -> Any:
        g.began, g.request_id = perf_counter(), secrets.token_hex(8)
        if request.mimetype != "multipart/form-data":
            # Werkzeug's limits on forms hold for multipart only, and parsing many megabytes is slow.
            request.max_content_length = MAX_TYPED_BYTES
        base.db.connect(reuse_if_open=True)
        if request.mimetype == "multipart/form-data":
            request.max_content_length = most_bytes()
        i18n.activate(wanted_language(), request.cookies.get("zone"))
        if came_plain(app) and request.path not in PLAIN:
            return ask_for_https()
        if request.method not in ("GET", "HEAD", "OPTIONS") and not comes_from_here(app):
            raise CSRFError("This form came from another site.")
        if "\0" in request.path:
            raise NotFound  # nothing here has such a name, and PostgreSQL cannot even be asked for it
        return None

    @app.after_request
    def finish(answer: Response) -> Response:
        headers = answer.headers
        headers.setdefault("Content-Security-Policy", CONTENT_SECURITY)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers.setdefault("X-Frame-Options", "DENY")
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Request-Id"] = g.get("request_id", "")
        if promises_https(app):
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if answer.mimetype == "text/html":
            headers.add("Vary", "HX-Request")
        account_for(answer.status_code)
        return answer

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        # SQLite keeps its connection per thread, which is faster; PostgreSQL gives it back to the pool.
        if not base.is_sqlite() and not base.db.is_closed():
            base.db.close()
        elif base.db.in_transaction():
            base.db.rollback()


def account_for(status: int) -> None:
    """Count the request, and write its line where it has one."""
    took = perf_counter() - g.get("began", perf_counter())
    opened = installation.current()
    opened.tally.add(logs.rule(), request.method, status, took)
    logs.request_done(status, took * 1000, guards.client_address(), each=opened.settings.log_requests)


def came_plain(app: Flask) -> bool:
    """Whether a trusted proxy says that this came over http, where people come by https."""
    arrival: proxies.Arrival = request.environ[proxies.ARRIVAL]
    return arrival.is_known_plain and bool(app.config["COUNTERSIGN"].https)


def ask_for_https() -> Any:
    """The same page by https; what was sent unencrypted is not taken, so that nobody makes a habit of it."""
    address = installation.address()
    if request.method in ("GET", "HEAD"):
        query = request.query_string.decode("latin-1")
        return redirect(address + quote(request.path) + (f"?{query}" if query else ""), 308)
    words = i18n.gettext(
        "This was sent unencrypted, so nothing of it was taken. Open %(address)s and do it there.",
        address=address,
    )
    return problem(400, words), 400


def promises_https(app: Flask) -> bool:
    """Whether browsers are told to stay with https for this name, and for this name alone.

    The names below it belong to others, so no includeSubDomains; `localhost` is shared with whatever
    else runs on the machine, so nothing is promised for it.
    """
    settings = app.config["COUNTERSIGN"]
    return bool(settings.https and not settings.base_url_is_local) and not came_plain(app)


def comes_from_here(app: Flask) -> bool:
    """Whether an unsafe request was made by one of our own pages, by Fetch metadata or Origin."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    if origin in (None, "null"):
        return origin is None
    return origin.rstrip("/") in (request.host_url.rstrip("/"), app.config["COUNTERSIGN"].base_url)


def wanted_language() -> str:
    chosen = request.cookies.get("language")
    if chosen in i18n.LANGUAGES:
        return chosen
    return request.accept_languages.best_match(i18n.LANGUAGES) or i18n.LANGUAGES[0]


def answer_errors(app: Flask) -> None:
    """One way to say no: a page, or for HTMX the fragment that goes into #problem."""

    @app.errorhandler(PortalError)
    def refused(error: PortalError) -> tuple[str, int, dict[str, str]]:
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, TooMany) else {}
        message = error.message or (" ".join(error.errors.values()) if isinstance(error, Invalid) else "")
        return problem(error.status, message), error.status, headers

    @app.errorhandler(CSRFError)
    def stale_form(error: CSRFError) -> tuple[str, int]:
        words = i18n.gettext(
            "This form is too old or did not come from this site. "
            "Load the page again and repeat what you did."
        )
        return problem(400, words), 400

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Any:
        if error.response is not None or (error.code or 500) < 400:
            return error.get_response()
        return problem(error.code or 500, ""), error.code or 500

    @app.errorhandler(peewee.OperationalError)
    def busy(error: peewee.OperationalError) -> tuple[str, int]:
        logs.failure(error)
        return problem(503, ""), 503

    @app.errorhandler(Exception)
    def broken(error: Exception) -> tuple[str, int]:
        logs.failure(error)
        if app.testing:
            raise error
        return problem(500, ""), 500


def problem(status: int, message: str) -> str:
    context = {"status": status, "message": message, "request_id": g.get("request_id")}
    if request.headers.get("HX-Request"):
        return render_template("_problem.html", **context, title=i18n.gettext("This did not work"))
    return render_template("error.html", **context)
