"""The three answers a page gives: show, stay here, leave for there."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, redirect, render_template
from htmx_flask import request

from portal.errors import Invalid, PortalError, TooMany
from portal.pages.forms import Form


def show(page: str, fragment: str | None = None, status: int = 200, **context: Any) -> Response:
    """The page, or for HTMX its fragment (a template with one root element)."""
    wanted = fragment if fragment and request.htmx else page
    return make_response(render_template(wanted, **context), status)


def stay(url: str, fragment: str | None = None, **context: Any) -> Response:
    """After a success: the fresh fragment for HTMX, else back to the page."""
    if fragment and request.htmx:
        return make_response(render_template(fragment, **context))
    return leave(url)


def leave(url: str) -> Response:
    """Go elsewhere: 303, or for HTMX the header that makes it load a whole page."""
    if request.htmx:
        return Response(status=204, headers={"HX-Redirect": url})
    answer = redirect(url, 303)
    return make_response(answer)


def refuse(
    page: str, form: Form, error: PortalError, fragment: str | None = None, **context: Any
) -> Response:
    """The same form again with what was typed and why it was not taken."""
    if isinstance(error, Invalid):
        for name, reason in error.errors.items():
            form.refuse(name, reason)
    else:
        form.refuse("", error.message)
    answer = show(page, fragment, error.status, form=form, **context)
    if isinstance(error, TooMany):
        answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer
