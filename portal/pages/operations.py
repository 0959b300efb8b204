"""How this installation is doing: what waits, what failed and why, and what to do about it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, url_for

from portal.clock import utc_now
from portal.i18n import gettext as _
from portal.i18n import ngettext
from portal.pages.guards import actor, requires
from portal.pages.respond import show, stay
from portal.services import audit_chains, keys, operations, queues, recovery

bp = Blueprint("operations", __name__, url_prefix="/settings/operations")
PAGE, STATE = "operations/show.html", "operations/_state.html"


def context(said: str = "") -> dict[str, Any]:
    """All the page shows; `said` is what an act just did."""
    now = utc_now()
    return {
        "state": operations.overview(now),
        "trail_text": audit_chains.as_text,
        "page_url": url_for(".page"),
        "said": said,
        "now": now,
    }


def done(said: str) -> Response:
    return stay(url_for(".page"), STATE, **context(said))


@bp.get("")
@requires("installation.read")
def page() -> Response:
    """The page; for htmx the part that changes while something is under way."""
    now = utc_now()
    words = recovery.in_words(recovery.state(now))
    return show(PAGE, STATE, keys=keys.overview(now), recovery_words=words, **context())


@bp.post("/jobs/<int:job_id>/retry")
@requires("installation.edit")
def retry(job_id: int) -> Response:
    """Start one failed piece of work again; pressed twice it is started once."""
    is_started = queues.retry(job_id, by=actor(), now=utc_now())
    return done(_("It is tried again.") if is_started else _("Nothing was left to try again."))


@bp.post("/jobs/<int:job_id>/set-aside")
@requires("installation.edit")
def set_aside(job_id: int) -> Response:
    """Take one failed piece of work off the page, as it is."""
    is_set_aside = queues.set_aside(job_id, by=actor(), now=utc_now())
    return done(_("It is set aside.") if is_set_aside else _("Nothing was left to set aside."))


@bp.post("/queues/<any('mail', 'sms', 'seals', 'rest'):queue>/retry")
@requires("installation.edit")
def retry_all(queue: str) -> Response:
    """Start everything again that failed in one queue."""
    count = queues.retry_all(queue, by=actor(), now=utc_now())
    return done(ngettext("%(num)s is tried again.", "%(num)s are tried again.", count))


@bp.post("/history")
@requires("installation.read")
def check_history() -> Response:
    """Have every entry of the history checked."""
    audit_chains.ask_for_check(utc_now())
    return done(_("The history is being checked."))
